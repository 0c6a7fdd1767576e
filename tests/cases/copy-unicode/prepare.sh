echo x > "ä ö"
