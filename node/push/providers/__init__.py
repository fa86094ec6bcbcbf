"""OTHER PEOPLE'S DNS APIS: RRsets read and changed over HTTP."""
