"""What a job will do, before it starts: which steps are left in its run folder, and how long they will take.

Start with `remaining_steps`. `pace` records how long the steps of a run took on this machine.
"""
