"""The domain of Onefleet: what is sold, booked and running, and every rule about it."""
