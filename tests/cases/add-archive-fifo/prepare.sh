mkdir in; mkfifo -m 640 in/fifo; tar -C in --sort=name --mtime=@1500000000 --owner=0 --group=0 -cf in.tar fifo; rm -r in
