mkdir special
mkfifo -m 640 special/fifo
# The only way to make a socket with what every Debian has.
perl -e 'use Socket; socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die; bind($s, sockaddr_un("special/socket")) or die'
chmod 755 special/socket
