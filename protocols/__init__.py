"""Front-ends: each translates one protocol into core's verbs and back."""
