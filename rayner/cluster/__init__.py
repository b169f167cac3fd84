"""Ray itself: the connection (`session`), training workers (`ray_train`), their network, and failures.

Start with `session.ray_session`. `environment` sets what Ray reads when it is imported; `compat` is the one file that
uses private names of Ray and DeepSpeed. This room may not import `steps`, `doctor`, `bench` or `cli`.
"""
