# What CI runs.
ci:
    bash .ci/run

# All tests, with what they need.
test:
    scripts/test

# The main job, played in a scratch repository with shell commands as workers.
demo:
    scripts/demo
