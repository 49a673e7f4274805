"""Front-ends of Onefleet: each translates one protocol into core's verbs and back."""
