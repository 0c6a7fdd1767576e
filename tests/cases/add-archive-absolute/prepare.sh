mkdir in; echo x > in/f; tar -C in --sort=name --mtime=@1500000000 --owner=0 --group=0 -P --transform 's,^f,/etc/f,' -cf in.tar f; rm -r in
