"""The small program between `run` and the job: it confines itself, then starts the job.

It imports the standard library only, and little of that: it has to start in some milliseconds, in
one thread, and everything it needs is in memory before the first layer closes.
"""
