"""A person's face in a template: which photo, where, in which light and tone, and how the two become one picture."""
