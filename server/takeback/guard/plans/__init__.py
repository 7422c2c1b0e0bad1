"""Plans: calls submitted at once, agreed to as a whole, carried out group by group, and taken back where one fails.

A plan is an action of class `workflow`, and its steps are actions whose `original` it is. There is no other memory:
what a guard needs to go on with a plan that another one left is in the ledger.
"""
