"""What is remembered: the only SQL in portraitd. Every function takes an open connection and returns frozen rows."""
