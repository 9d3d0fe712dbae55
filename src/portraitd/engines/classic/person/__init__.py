"""Who somebody is: what their photos say together, trained, kept and read again."""
