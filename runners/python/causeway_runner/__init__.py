"""The runner: the program inside the sandbox that runs steps written in Python and bash."""
