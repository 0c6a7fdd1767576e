mkdir in; truncate -s 1M in/f; echo end >> in/f; tar -C in --sort=name --mtime=@1500000000 --owner=0 --group=0 --sparse -cf in.tar f; rm -r in
