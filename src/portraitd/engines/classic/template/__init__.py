"""What is known of a template before anybody's face goes in, and what is changed in it for somebody's sake."""
