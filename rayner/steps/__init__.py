"""The steps of a job: data, training, index, scores, fusion, tagging; and the main job, which runs them all."""
