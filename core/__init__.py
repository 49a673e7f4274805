"""The domain: what is sold, booked and running, and every rule about it."""
