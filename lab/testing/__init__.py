"""What the pytest plugin is made of: a lab of a test's own, and what a roll of it is asserted to have been."""
