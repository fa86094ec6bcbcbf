"""WHAT /v1 ANSWERS: the shape of every answer as a type, from which the description of the API is made.

A key that is shown and does not stand here fails ``tests/api/test_answers.py``. Programs must bear keys that they do not
know: ``/v1`` only grows.
"""
