"""PUBLISHING ELSEWHERE: carrying RRsets from the committed state to other name servers."""
