chmod 4755 setuid; chmod 2755 setgid; chmod 600 private; chmod 3777 top; chmod 3775 top/nested
