"""Other libraries' names over Fletching, so that code moves by one import."""
