use layer::*;
use oci::Compression;
use std::{
    fs::File,
    io::{self, BufWriter},
    time::Instant,
};
fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0
}
fn hwm() -> String {
    std::fs::read_to_string("/proc/self/status").unwrap().lines().filter(|l| l.starts_with("VmHWM")).collect()
}
fn main() {
    let mut args = std::env::args().skip(1);
    let (what, path) = (args.next().unwrap(), args.next().unwrap());
    let threads = args.next().map_or(2, |t| t.parse().unwrap());
    let start = Instant::now();
    let index = match &*what {
        "read" => read_layer(File::open(&path).unwrap(), Compression::Gzip, &mut Discard).unwrap(),
        "gzip" | "zstd" | "none" => {
            let compression = match &*what {
                "gzip" => Compression::Gzip,
                "zstd" => Compression::Zstd,
                _ => Compression::None,
            };
            let mut w = LayerWriter::new(
                BufWriter::new(io::sink()),
                WriteOptions { compression, level: None, threads },
            )
            .unwrap();
            read_archive(File::open(&path).unwrap(), &mut w).unwrap();
            let w = w.finish().unwrap();
            println!("packed {}", w.size);
            w.index
        }
        "index" => {
            let index = read_layer(File::open(&path).unwrap(), Compression::Gzip, &mut Discard).unwrap();
            for _ in 0..3 {
                let mut b = Vec::new();
                let t = Instant::now();
                index.encode(&mut b).unwrap();
                println!("encode {:?} {} bytes {} entries", t.elapsed(), b.len(), index.changes.len());
                let t = Instant::now();
                let d = LayerIndex::decode(&b[..]).unwrap();
                println!("decode {:?}", t.elapsed());
                assert!(d == index);
                let t = Instant::now();
                let mut tree = Tree::new();
                tree.apply(0, &index);
                println!("apply {:?} {}", t.elapsed(), tree.len());
                let t = Instant::now();
                let mut n = 0;
                for (p, i) in tree.iter() {
                    if i.node.is_directory() {
                        n += tree.children(p).count();
                    }
                }
                println!("children of all {:?} {n}", t.elapsed());
                let t = Instant::now();
                let n = tree.children(&TreePath::root()).count();
                println!("children of root {:?} {n}", t.elapsed());
                let t = Instant::now();
                for (p, _) in tree.iter() {
                    tree.resolve(p, true).ok();
                }
                println!("resolve all {:?}", t.elapsed());
                let t = Instant::now();
                let c = tree.clone();
                println!("clone {:?} {}", t.elapsed(), c.len());
                let t = Instant::now();
                let mut c2 = tree.clone();
                c2.apply(1, &index);
                println!("apply again {:?}", t.elapsed());
            }
            index
        }
        _ => panic!(),
    };
    println!(
        "{what}: {:?} cpu {:.2}s, {} MB plain, {:.0} MB/s, {}",
        start.elapsed(),
        cpu(),
        index.size / 1_000_000,
        index.size as f64 / 1e6 / start.elapsed().as_secs_f64(),
        hwm()
    );
}
