"""Code around Ray: the connection (`session`), training workers (`ray_train`), their `network`, and `failures`.

Start with `session.ray_session`. `environment` sets the variables that Ray reads when it is imported. `compat` is the
only file that uses private names of Ray and DeepSpeed. This package may not import `steps`, `doctor`, `bench` or
`cli`.
"""
