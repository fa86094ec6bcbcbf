"""THE DNS PROTOCOL: finding answers, writing messages, serving them."""
