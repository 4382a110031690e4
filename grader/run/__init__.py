"""The run directory: what was asked of one submission, what it gave, and what that is worth.

record      what lies in it           folder      one of them, sealed: write and read
directory   where it lies             seal        who changed it
request     what is asked             writing     what the sandbox gave, put on the disk
reference   what it is compared with  reading     frames → Evidence
evaluation  the measured accuracy     assessment  all of it → Grade
"""
