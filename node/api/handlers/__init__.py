"""What each path of the API answers. Pure: no socket, no clock; what takes time is returned as a plan."""
