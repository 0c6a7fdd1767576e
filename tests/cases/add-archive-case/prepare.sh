mkdir in; echo a > in/a; echo A > in/A; tar -C in --sort=name --mtime=@1500000000 --owner=0 --group=0 -cf in.tar a A; rm -r in
