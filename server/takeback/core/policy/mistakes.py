class PolicyMistakes(Exception):
    pass
