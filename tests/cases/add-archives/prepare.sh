# Archives the same on every machine: fixed times, owners and order.
mkdir -p in/sub; echo content > in/sub/file; ln -s file in/sub/link; chmod 750 in/sub; chmod 604 in/sub/file
tar="tar -C in --sort=name --mtime=@1500000000 --owner=3 --group=4 --numeric-owner"
$tar -cf plain.tar sub
$tar -cf second.tar --transform s,sub,second, sub
gzip -nc plain.tar > gzip.tar.gz
bzip2 -c plain.tar > bzip2.tar.bz2
xz -c plain.tar > xz.txz
zstd -qc plain.tar > zstd.odd-name
echo 'only text' > text.tar.gz
echo 'one file' | gzip -nc > single.gz
