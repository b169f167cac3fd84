"""Files in, files out: labelled files and plain texts, the canonical Parquet tables, scores as Arrow, exports."""
