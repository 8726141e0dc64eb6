"""A live model that flips between tasks, undone to the last bit (paper, section 3.3: base + sum of w S).

`_bank` is the bank, `_task` what it holds of a switch, `_slots` where in the model it is applied, `_resident` the form
of two bits in memory and how it is added, `_rows` a batch whose rows have tasks of their own, `_batch_norm` the buffers
measured anew, `_interrupt` Ctrl-C held back while weights change.
"""
