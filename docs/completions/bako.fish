# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_bako_global_optspecs
    string join \n c/context= git= context-sub-path= build-context= f/dockerfile= d/destination= platform= add-host= check= call= build-arg= syntax-ignore= target= secret= ssh= label= no-push= tar-path= oci-layout-path= provenance= sbom= attest= annotation= compression= compression-level= reproducible= single-snapshot= ignore-path= metadata-file= build-report= sign-key= digest-file= image-name-with-digest-file= image-name-tag-with-digest-file= image-format= skip-push-permission-check= push-ignore-immutable-tag-errors= insecure= insecure-pull= insecure-registry= skip-tls-verify= skip-tls-verify-pull= skip-tls-verify-registry= registry-certificate= registry-client-cert= registry-map= registry-mirror= skip-default-registry-fallback= authfile= credential-helpers= push-retry= image-download-retry= v/verbosity= log-format= log-timestamp= q/quiet= progress= isolation= isolation-require= cache-dir= cache= cache-repo= cache-from= cache-to= cache-ttl= cache-copy-layers= cache-run-layers= no-push-cache= cache-sign-key= cache-verify-key= cache-mounts= cache-mounts-repo= cache-mounts-max-size= no-cache= no-cache-filter= explain= dryrun= jobs= work-dir= download-limit= timings= h/help V/version
end

function __fish_bako_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_bako_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_bako_using_subcommand
    set -l cmd (__fish_bako_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c bako -n "__fish_bako_needs_command" -s c -l context -d 'The files to build from: a directory, `dir://DIR`, `tar://FILE`, `https://…` for an archive to download, `-` for one on standard input, or a git repository: `git://HOST/PATH#REF`, `https://….git#REF:DIR`, `ssh://…`' -r
complete -c bako -n "__fish_bako_needs_command" -l git -d 'How the git repository of `--context` is fetched: branch=NAME, recurse-submodules=BOOL, insecure-skip-tls=BOOL, with commas between. May be repeated' -r
complete -c bako -n "__fish_bako_needs_command" -l context-sub-path -d 'The directory of the context that is meant, if not all' -r
complete -c bako -n "__fish_bako_needs_command" -l build-context -d 'Another place to take files from, as NAME=DIR, NAME=docker-image://IMAGE, NAME=oci-layout://DIR:TAG, NAME=https://… or a git repository; NAME::PLATFORM= for one platform alone. May be repeated' -r
complete -c bako -n "__fish_bako_needs_command" -s f -l dockerfile -d 'The Dockerfile: a path from here or, if there is none, in the context; `-` is standard input' -r -F
complete -c bako -n "__fish_bako_needs_command" -s d -l destination -d 'Where to push the image, as REGISTRY/REPOSITORY:TAG. May be repeated' -r
complete -c bako -n "__fish_bako_needs_command" -l platform -d 'What the image is for, as OS/ARCHITECTURE[/VARIANT]; this machine\'s platform if not given. Several, with commas, make an index' -r
complete -c bako -n "__fish_bako_needs_command" -l add-host -d 'A line for `/etc/hosts` of each RUN, as NAME:ADDRESS. May be repeated' -r
complete -c bako -n "__fish_bako_needs_command" -l check -d 'Only say what the lints find in the Dockerfile, and fail if that is anything' -r
complete -c bako -n "__fish_bako_needs_command" -l call -d 'What to do with the Dockerfile: build, check, outline or targets; with `,format=json` the answer is JSON' -r
complete -c bako -n "__fish_bako_needs_command" -l build-arg -d 'Value of an ARG, as NAME=VALUE; NAME alone takes the value of that environment variable. May be repeated' -r
complete -c bako -n "__fish_bako_needs_command" -l syntax-ignore -d 'Read the file as a plain Dockerfile though its `# syntax=` names a frontend that is not Docker\'s' -r
complete -c bako -n "__fish_bako_needs_command" -l target -d 'The stage to build; the last one if not given. Further ones, also after a comma, are built and go nowhere' -r
complete -c bako -n "__fish_bako_needs_command" -l secret -d 'A secret for `RUN --mount=type=secret`, as id=ID,src=FILE or id=ID,env=NAME. May be repeated' -r
complete -c bako -n "__fish_bako_needs_command" -l ssh -d 'An SSH agent for `RUN --mount=type=ssh`, as ID=SOCKET; ID alone is the one of `SSH_AUTH_SOCK`. May be repeated' -r
complete -c bako -n "__fish_bako_needs_command" -l label -d 'A label of the image, as NAME=VALUE. May be repeated' -r
complete -c bako -n "__fish_bako_needs_command" -l no-push -d 'Build, but do not push. `KANIKO_NO_PUSH` in the environment says the same' -r
complete -c bako -n "__fish_bako_needs_command" -l tar-path -d 'Write an archive for `docker load` to this file' -r -F
complete -c bako -n "__fish_bako_needs_command" -l oci-layout-path -d 'Write an OCI layout with the image to this directory' -r -F
complete -c bako -n "__fish_bako_needs_command" -l provenance -d 'State beside the image how it was made (SLSA v1); true, false, or mode=min, mode=max, builder-id=URI with commas between' -r
complete -c bako -n "__fish_bako_needs_command" -l sbom -d 'State beside the image what is in it (SPDX 2.3): packages of its system and of programming languages' -r
complete -c bako -n "__fish_bako_needs_command" -l attest -d 'The same as type=provenance,… and type=sbom. May be repeated' -r
complete -c bako -n "__fish_bako_needs_command" -l annotation -d 'An annotation, as [LEVEL:]NAME=VALUE; LEVEL is manifest (if none is given), index, manifest-descriptor or index-descriptor, several with commas between, each also with [PLATFORM] behind. May be repeated' -r
complete -c bako -n "__fish_bako_needs_command" -l compression -d 'How new layers are packed' -r -f -a "gzip\t'For every engine'
zstd\t'Smaller and faster, for engines of the last years'"
complete -c bako -n "__fish_bako_needs_command" -l compression-level -d 'How hard they are packed: 0 to 12 for gzip, 1 to 22 for zstd, -1 for what suits builds' -r
complete -c bako -n "__fish_bako_needs_command" -l reproducible -d 'Take the time of everything that is made as 1970, if SOURCE_DATE_EPOCH gives no other' -r
complete -c bako -n "__fish_bako_needs_command" -l single-snapshot -d 'Make one layer of all that the image has on top of its base' -r
complete -c bako -n "__fish_bako_needs_command" -l ignore-path -d 'A path of the image where what a RUN does is in no layer. May be repeated' -r
complete -c bako -n "__fish_bako_needs_command" -l metadata-file -d 'Write digests, descriptor and names of the image to this file as JSON, once all is done' -r -F
complete -c bako -n "__fish_bako_needs_command" -l build-report -d 'Write a page about the build to this file, in HTML that needs nothing else, once the build has ended' -r -F
complete -c bako -n "__fish_bako_needs_command" -l sign-key -d 'Sign the image in every registry that it was pushed to with this private key, ECDSA on P-256 in PEM, as cosign does. The password of one that cosign has encrypted is in COSIGN_PASSWORD' -r -F
complete -c bako -n "__fish_bako_needs_command" -l digest-file -d 'Write the digest of the image to this file, once all is done; or to an https:// URL, by PUT' -r
complete -c bako -n "__fish_bako_needs_command" -l image-name-with-digest-file -d 'Write REPOSITORY@DIGEST of each destination to this file, once all is done' -r -F
complete -c bako -n "__fish_bako_needs_command" -l image-name-tag-with-digest-file -d 'Write REPOSITORY:TAG@DIGEST of each destination to this file, once all is done' -r -F
complete -c bako -n "__fish_bako_needs_command" -l image-format -d 'The media types of manifest, config and layers. What `push` finds in an OCI layout has its own' -r -f -a "oci\t'Those of the OCI image spec'
docker\t'Docker\'s'"
complete -c bako -n "__fish_bako_needs_command" -l skip-push-permission-check -d 'Do not ask registries beforehand whether they would take the image' -r
complete -c bako -n "__fish_bako_needs_command" -l push-ignore-immutable-tag-errors -d 'Go on if a registry does not let a tag be moved: the image keeps the tag that it has there' -r
complete -c bako -n "__fish_bako_needs_command" -l insecure -d 'Push by plain HTTP. Registries on the loopback interface need no such flag' -r
complete -c bako -n "__fish_bako_needs_command" -l insecure-pull -d 'Pull by plain HTTP' -r
complete -c bako -n "__fish_bako_needs_command" -l insecure-registry -d 'A registry to use by plain HTTP. May be repeated' -r
complete -c bako -n "__fish_bako_needs_command" -l skip-tls-verify -d 'Push and pull without checking certificates' -r
complete -c bako -n "__fish_bako_needs_command" -l skip-tls-verify-pull -d 'Pull without checking the registry\'s certificate' -r
complete -c bako -n "__fish_bako_needs_command" -l skip-tls-verify-registry -d 'A registry whose certificate is not checked. May be repeated' -r
complete -c bako -n "__fish_bako_needs_command" -l registry-certificate -d 'A certificate authority for one registry, as REGISTRY=FILE. May be repeated' -r
complete -c bako -n "__fish_bako_needs_command" -l registry-client-cert -d 'A certificate to show to one registry, and its key, as REGISTRY=FILE,KEYFILE. May be repeated' -r
complete -c bako -n "__fish_bako_needs_command" -l registry-map -d 'Other places to ask for a registry\'s images first, as REGISTRY=OTHER[/PATH];… May be repeated' -r
complete -c bako -n "__fish_bako_needs_command" -l registry-mirror -d 'A place to ask for Docker Hub\'s images first, as HOST[:PORT][/PATH]. May be repeated' -r
complete -c bako -n "__fish_bako_needs_command" -l skip-default-registry-fallback -d 'Do not ask a registry itself if there are other places to ask for its images' -r
complete -c bako -n "__fish_bako_needs_command" -l authfile -d 'A file of credentials, as Docker\'s config.json or containers\' auth.json, or a directory of them such as a mounted secret; it goes before all others. May be repeated' -r -F
complete -c bako -n "__fish_bako_needs_command" -l credential-helpers -d 'Which sources of credentials are used beside files, of env, google, ecr, acr and gitlab; all if not given, none if empty' -r
complete -c bako -n "__fish_bako_needs_command" -l push-retry -d 'How often to try again when a push fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_needs_command" -l image-download-retry -d 'How often to try again when a pull fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_needs_command" -s v -l verbosity -d 'How much to say' -r -f -a "error\t'Errors only; Kaniko\'s `panic` and `fatal` are the same here'
warn\t'And warnings'
info\t'And what is being done'
debug\t'And why'
trace\t'And every request'"
complete -c bako -n "__fish_bako_needs_command" -l log-format -d 'How to say it' -r -f -a "text\t'Plain lines'
color\t'Lines with colour, where stderr is a terminal that shows it'
json\t'One JSON object a line'"
complete -c bako -n "__fish_bako_needs_command" -l log-timestamp -d 'Begin each line with the time' -r
complete -c bako -n "__fish_bako_needs_command" -s q -l quiet -d 'Say nothing but errors, as `--verbosity error` does' -r
complete -c bako -n "__fish_bako_needs_command" -l progress -d 'How Docker names it: `plain` is text without colour, `auto` and `tty` the default, `quiet` only errors' -r
complete -c bako -n "__fish_bako_needs_command" -l isolation -d 'How a RUN is kept to its root' -r -f -a "auto\t'The best of those that work here'
ns\t'Namespaces and, where the kernel allows it, an overlay'
chroot\t'chroot(2) alone'
supervised\t'No privilege: a supervisor that answers system calls'"
complete -c bako -n "__fish_bako_needs_command" -l isolation-require -d 'Isolations that are good enough; where none of them works, a build that has a RUN fails' -r -f -a "auto\t'The best of those that work here'
ns\t'Namespaces and, where the kernel allows it, an overlay'
chroot\t'chroot(2) alone'
supervised\t'No privilege: a supervisor that answers system calls'"
complete -c bako -n "__fish_bako_needs_command" -l cache-dir -d 'Keep layers of bases and their indexes here, for later builds; several may share it. Taken as given if /cache is there' -r -F
complete -c bako -n "__fish_bako_needs_command" -l cache -d 'Keep results of steps for later builds, and use those of earlier ones, in the --cache-repo' -r
complete -c bako -n "__fish_bako_needs_command" -l cache-repo -d 'The repository for results of steps, or oci:DIR for a directory; if not given, that of the first destination with /cache behind it' -r
complete -c bako -n "__fish_bako_needs_command" -l cache-from -d 'Another place to look for results: a repository, oci:DIR, type=registry,ref=… or type=local,src=…. May be repeated' -r
complete -c bako -n "__fish_bako_needs_command" -l cache-to -d 'Another place to keep results: a repository, oci:DIR, type=registry,ref=… or type=local,dest=…. May be repeated' -r
complete -c bako -n "__fish_bako_needs_command" -l cache-ttl -d 'How long a result is used after it was last found useful, as 336h' -r
complete -c bako -n "__fish_bako_needs_command" -l cache-copy-layers -d 'Keep results of COPY and ADD too' -r
complete -c bako -n "__fish_bako_needs_command" -l cache-run-layers -d 'Keep results of RUN' -r
complete -c bako -n "__fish_bako_needs_command" -l no-push-cache -d 'Use the --cache-repo, but keep nothing there' -r
complete -c bako -n "__fish_bako_needs_command" -l cache-sign-key -d 'Sign what is kept with this Ed25519 private key, in PEM' -r -F
complete -c bako -n "__fish_bako_needs_command" -l cache-verify-key -d 'Use only results that are signed with the key that belongs to this Ed25519 public key, in PEM' -r -F
complete -c bako -n "__fish_bako_needs_command" -l cache-mounts -d 'Keep cache mounts of RUN for other machines too, and take those that other machines have kept: in the --cache-mounts-repo or, if that is not given, wherever results of steps are kept' -r
complete -c bako -n "__fish_bako_needs_command" -l cache-mounts-repo -d 'The repository for cache mounts, or oci:DIR for a directory' -r
complete -c bako -n "__fish_bako_needs_command" -l cache-mounts-max-size -d 'What the files of a cache mount may have together to be kept for other machines, as in 500m or 4g' -r
complete -c bako -n "__fish_bako_needs_command" -l no-cache -d 'Build everything anew. What comes of it is kept as ever' -r
complete -c bako -n "__fish_bako_needs_command" -l no-cache-filter -d 'Build these stages anew, by name or number. May be repeated' -r
complete -c bako -n "__fish_bako_needs_command" -l explain -d 'Say of each step why a cache has it or, beside the last build that has made something, why not' -r
complete -c bako -n "__fish_bako_needs_command" -l dryrun -d 'Print what would be done, with the key of each step and whether a cache has it, and do nothing' -r
complete -c bako -n "__fish_bako_needs_command" -l jobs -d 'How many stages are built at once, of all platforms together; the number of processors if it is not given. With 1, one is built after the other' -r
complete -c bako -n "__fish_bako_needs_command" -l work-dir -d 'Where to work. A directory is made in it for each build, and removed at its end. `KANIKO_DIR` in the environment says the same' -r -F
complete -c bako -n "__fish_bako_needs_command" -l download-limit -d 'The most bytes that ADD, or a context, may download from one URL, as in 500m or 2g' -r
complete -c bako -n "__fish_bako_needs_command" -l timings -d 'Say at the end where the time went' -r
complete -c bako -n "__fish_bako_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bako -n "__fish_bako_needs_command" -s V -l version -d 'Print version'
complete -c bako -n "__fish_bako_needs_command" -f -a "probe" -d 'Show which isolations for RUN work here, and why the others do not'
complete -c bako -n "__fish_bako_needs_command" -f -a "registry" -d 'A small registry for laptops, tests and sites without a network'
complete -c bako -n "__fish_bako_needs_command" -f -a "push" -d 'Push an image that is in a docker archive or an OCI layout'
complete -c bako -n "__fish_bako_needs_command" -f -a "login" -d 'Note a user and a password for a registry in docker\'s config.json'
complete -c bako -n "__fish_bako_needs_command" -f -a "warmer" -d 'Bring base images into a cache directory before builds ask for them'
complete -c bako -n "__fish_bako_needs_command" -f -a "cache" -d 'See what is in a cache, and make room in it'
complete -c bako -n "__fish_bako_needs_command" -f -a "copy" -d 'Copy an image, or an index with all its images, between registries, layouts and archives'
complete -c bako -n "__fish_bako_needs_command" -f -a "digest" -d 'Print the digest of an image'
complete -c bako -n "__fish_bako_needs_command" -f -a "inspect" -d 'Show what an image is: config, layers, what each of them adds and hides, the biggest files'
complete -c bako -n "__fish_bako_needs_command" -f -a "ls" -d 'List the tags of a repository'
complete -c bako -n "__fish_bako_needs_command" -f -a "manifest" -d 'Join images to an index of several platforms: what docker manifest does'
complete -c bako -n "__fish_bako_needs_command" -f -a "resolve" -d 'Pin the images of manifests to digests, and build those that have a source: what kbld does'
complete -c bako -n "__fish_bako_needs_command" -f -a "verify" -d 'Check that an image is signed with a key: what cosign verify --key does'
complete -c bako -n "__fish_bako_needs_command" -f -a "version" -d 'Print the version'
complete -c bako -n "__fish_bako_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bako -n "__fish_bako_using_subcommand probe" -l work-dir -d 'Where a build would work' -r -F
complete -c bako -n "__fish_bako_using_subcommand probe" -l format -d 'How to say it' -r -f -a "text\t'Lines for people'
json\t'One JSON object'"
complete -c bako -n "__fish_bako_using_subcommand probe" -l trace -d 'Run a command under the isolation supervised instead, and show which of its system calls were answered, how often, how long that took, and what they failed with' -r
complete -c bako -n "__fish_bako_using_subcommand probe" -l image -d 'The image to run it in' -r
complete -c bako -n "__fish_bako_using_subcommand probe" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bako -n "__fish_bako_using_subcommand registry; and not __fish_seen_subcommand_from serve help" -s h -l help -d 'Print help'
complete -c bako -n "__fish_bako_using_subcommand registry; and not __fish_seen_subcommand_from serve help" -f -a "serve" -d 'Serve the OCI distribution protocol. Each repository is kept as an OCI layout'
complete -c bako -n "__fish_bako_using_subcommand registry; and not __fish_seen_subcommand_from serve help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bako -n "__fish_bako_using_subcommand registry; and __fish_seen_subcommand_from serve" -l dir -d 'Where the repositories are' -r -F
complete -c bako -n "__fish_bako_using_subcommand registry; and __fish_seen_subcommand_from serve" -l listen -d 'Address and port; port 0 takes a free one and prints it' -r
complete -c bako -n "__fish_bako_using_subcommand registry; and __fish_seen_subcommand_from serve" -s h -l help -d 'Print help'
complete -c bako -n "__fish_bako_using_subcommand registry; and __fish_seen_subcommand_from help" -f -a "serve" -d 'Serve the OCI distribution protocol. Each repository is kept as an OCI layout'
complete -c bako -n "__fish_bako_using_subcommand registry; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bako -n "__fish_bako_using_subcommand push" -s d -l destination -d 'Where to push the image, as REGISTRY/REPOSITORY:TAG. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand push" -l digest-file -d 'Write the digest of the image to this file, once all is done; or to an https:// URL, by PUT' -r
complete -c bako -n "__fish_bako_using_subcommand push" -l image-name-with-digest-file -d 'Write REPOSITORY@DIGEST of each destination to this file, once all is done' -r -F
complete -c bako -n "__fish_bako_using_subcommand push" -l image-name-tag-with-digest-file -d 'Write REPOSITORY:TAG@DIGEST of each destination to this file, once all is done' -r -F
complete -c bako -n "__fish_bako_using_subcommand push" -l image-format -d 'The media types of manifest, config and layers. What `push` finds in an OCI layout has its own' -r -f -a "oci\t'Those of the OCI image spec'
docker\t'Docker\'s'"
complete -c bako -n "__fish_bako_using_subcommand push" -l skip-push-permission-check -d 'Do not ask registries beforehand whether they would take the image' -r
complete -c bako -n "__fish_bako_using_subcommand push" -l push-ignore-immutable-tag-errors -d 'Go on if a registry does not let a tag be moved: the image keeps the tag that it has there' -r
complete -c bako -n "__fish_bako_using_subcommand push" -l insecure -d 'Push by plain HTTP. Registries on the loopback interface need no such flag' -r
complete -c bako -n "__fish_bako_using_subcommand push" -l insecure-pull -d 'Pull by plain HTTP' -r
complete -c bako -n "__fish_bako_using_subcommand push" -l insecure-registry -d 'A registry to use by plain HTTP. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand push" -l skip-tls-verify -d 'Push and pull without checking certificates' -r
complete -c bako -n "__fish_bako_using_subcommand push" -l skip-tls-verify-pull -d 'Pull without checking the registry\'s certificate' -r
complete -c bako -n "__fish_bako_using_subcommand push" -l skip-tls-verify-registry -d 'A registry whose certificate is not checked. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand push" -l registry-certificate -d 'A certificate authority for one registry, as REGISTRY=FILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand push" -l registry-client-cert -d 'A certificate to show to one registry, and its key, as REGISTRY=FILE,KEYFILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand push" -l registry-map -d 'Other places to ask for a registry\'s images first, as REGISTRY=OTHER[/PATH];… May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand push" -l registry-mirror -d 'A place to ask for Docker Hub\'s images first, as HOST[:PORT][/PATH]. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand push" -l skip-default-registry-fallback -d 'Do not ask a registry itself if there are other places to ask for its images' -r
complete -c bako -n "__fish_bako_using_subcommand push" -l authfile -d 'A file of credentials, as Docker\'s config.json or containers\' auth.json, or a directory of them such as a mounted secret; it goes before all others. May be repeated' -r -F
complete -c bako -n "__fish_bako_using_subcommand push" -l credential-helpers -d 'Which sources of credentials are used beside files, of env, google, ecr, acr and gitlab; all if not given, none if empty' -r
complete -c bako -n "__fish_bako_using_subcommand push" -l push-retry -d 'How often to try again when a push fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand push" -l image-download-retry -d 'How often to try again when a pull fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand push" -s v -l verbosity -d 'How much to say' -r -f -a "error\t'Errors only; Kaniko\'s `panic` and `fatal` are the same here'
warn\t'And warnings'
info\t'And what is being done'
debug\t'And why'
trace\t'And every request'"
complete -c bako -n "__fish_bako_using_subcommand push" -l log-format -d 'How to say it' -r -f -a "text\t'Plain lines'
color\t'Lines with colour, where stderr is a terminal that shows it'
json\t'One JSON object a line'"
complete -c bako -n "__fish_bako_using_subcommand push" -l log-timestamp -d 'Begin each line with the time' -r
complete -c bako -n "__fish_bako_using_subcommand push" -l work-dir -d 'Where to unpack an archive. A directory is made in it, and removed at the end' -r -F
complete -c bako -n "__fish_bako_using_subcommand push" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bako -n "__fish_bako_using_subcommand login" -s u -l username -d 'The user' -r
complete -c bako -n "__fish_bako_using_subcommand login" -s p -l password -d 'The password. Other users of the machine can see it while this runs' -r
complete -c bako -n "__fish_bako_using_subcommand login" -l password-stdin -d 'Read the password from standard input' -r
complete -c bako -n "__fish_bako_using_subcommand login" -s h -l help -d 'Print help'
complete -c bako -n "__fish_bako_using_subcommand warmer" -s i -l image -d 'An image to fetch. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand warmer" -s d -l dockerfile -d 'A Dockerfile, all of whose bases are fetched' -r -F
complete -c bako -n "__fish_bako_using_subcommand warmer" -l build-arg -d 'Value of an ARG before its first FROM, as NAME=VALUE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand warmer" -s c -l cache-dir -d 'The cache directory; made if it is not there' -r -F
complete -c bako -n "__fish_bako_using_subcommand warmer" -l platform -d 'What for, as OS/ARCHITECTURE[/VARIANT], several with commas; this machine\'s platform if not given' -r
complete -c bako -n "__fish_bako_using_subcommand warmer" -l insecure -d 'Push by plain HTTP. Registries on the loopback interface need no such flag' -r
complete -c bako -n "__fish_bako_using_subcommand warmer" -l insecure-pull -d 'Pull by plain HTTP' -r
complete -c bako -n "__fish_bako_using_subcommand warmer" -l insecure-registry -d 'A registry to use by plain HTTP. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand warmer" -l skip-tls-verify -d 'Push and pull without checking certificates' -r
complete -c bako -n "__fish_bako_using_subcommand warmer" -l skip-tls-verify-pull -d 'Pull without checking the registry\'s certificate' -r
complete -c bako -n "__fish_bako_using_subcommand warmer" -l skip-tls-verify-registry -d 'A registry whose certificate is not checked. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand warmer" -l registry-certificate -d 'A certificate authority for one registry, as REGISTRY=FILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand warmer" -l registry-client-cert -d 'A certificate to show to one registry, and its key, as REGISTRY=FILE,KEYFILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand warmer" -l registry-map -d 'Other places to ask for a registry\'s images first, as REGISTRY=OTHER[/PATH];… May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand warmer" -l registry-mirror -d 'A place to ask for Docker Hub\'s images first, as HOST[:PORT][/PATH]. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand warmer" -l skip-default-registry-fallback -d 'Do not ask a registry itself if there are other places to ask for its images' -r
complete -c bako -n "__fish_bako_using_subcommand warmer" -l authfile -d 'A file of credentials, as Docker\'s config.json or containers\' auth.json, or a directory of them such as a mounted secret; it goes before all others. May be repeated' -r -F
complete -c bako -n "__fish_bako_using_subcommand warmer" -l credential-helpers -d 'Which sources of credentials are used beside files, of env, google, ecr, acr and gitlab; all if not given, none if empty' -r
complete -c bako -n "__fish_bako_using_subcommand warmer" -l push-retry -d 'How often to try again when a push fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand warmer" -l image-download-retry -d 'How often to try again when a pull fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand warmer" -s v -l verbosity -d 'How much to say' -r -f -a "error\t'Errors only; Kaniko\'s `panic` and `fatal` are the same here'
warn\t'And warnings'
info\t'And what is being done'
debug\t'And why'
trace\t'And every request'"
complete -c bako -n "__fish_bako_using_subcommand warmer" -l log-format -d 'How to say it' -r -f -a "text\t'Plain lines'
color\t'Lines with colour, where stderr is a terminal that shows it'
json\t'One JSON object a line'"
complete -c bako -n "__fish_bako_using_subcommand warmer" -l log-timestamp -d 'Begin each line with the time' -r
complete -c bako -n "__fish_bako_using_subcommand warmer" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bako -n "__fish_bako_using_subcommand cache; and not __fish_seen_subcommand_from ls prune inspect help" -s h -l help -d 'Print help'
complete -c bako -n "__fish_bako_using_subcommand cache; and not __fish_seen_subcommand_from ls prune inspect help" -f -a "ls" -d 'List what is there, what was of use last first'
complete -c bako -n "__fish_bako_using_subcommand cache; and not __fish_seen_subcommand_from ls prune inspect help" -f -a "prune" -d 'Remove what is old, or too much'
complete -c bako -n "__fish_bako_using_subcommand cache; and not __fish_seen_subcommand_from ls prune inspect help" -f -a "inspect" -d 'Show all that is known of one thing'
complete -c bako -n "__fish_bako_using_subcommand cache; and not __fish_seen_subcommand_from ls prune inspect help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from ls" -l cache-dir -d 'A cache directory, instead or as well' -r -F
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from ls" -l insecure -d 'Push by plain HTTP. Registries on the loopback interface need no such flag' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from ls" -l insecure-pull -d 'Pull by plain HTTP' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from ls" -l insecure-registry -d 'A registry to use by plain HTTP. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from ls" -l skip-tls-verify -d 'Push and pull without checking certificates' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from ls" -l skip-tls-verify-pull -d 'Pull without checking the registry\'s certificate' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from ls" -l skip-tls-verify-registry -d 'A registry whose certificate is not checked. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from ls" -l registry-certificate -d 'A certificate authority for one registry, as REGISTRY=FILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from ls" -l registry-client-cert -d 'A certificate to show to one registry, and its key, as REGISTRY=FILE,KEYFILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from ls" -l registry-map -d 'Other places to ask for a registry\'s images first, as REGISTRY=OTHER[/PATH];… May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from ls" -l registry-mirror -d 'A place to ask for Docker Hub\'s images first, as HOST[:PORT][/PATH]. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from ls" -l skip-default-registry-fallback -d 'Do not ask a registry itself if there are other places to ask for its images' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from ls" -l authfile -d 'A file of credentials, as Docker\'s config.json or containers\' auth.json, or a directory of them such as a mounted secret; it goes before all others. May be repeated' -r -F
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from ls" -l credential-helpers -d 'Which sources of credentials are used beside files, of env, google, ecr, acr and gitlab; all if not given, none if empty' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from ls" -l push-retry -d 'How often to try again when a push fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from ls" -l image-download-retry -d 'How often to try again when a pull fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from ls" -l format -d 'How to say it' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from ls" -l cache-ttl -d 'How long a build would use a result, as with its flag of this name' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from prune" -l cache-dir -d 'A cache directory, instead or as well' -r -F
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from prune" -l insecure -d 'Push by plain HTTP. Registries on the loopback interface need no such flag' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from prune" -l insecure-pull -d 'Pull by plain HTTP' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from prune" -l insecure-registry -d 'A registry to use by plain HTTP. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from prune" -l skip-tls-verify -d 'Push and pull without checking certificates' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from prune" -l skip-tls-verify-pull -d 'Pull without checking the registry\'s certificate' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from prune" -l skip-tls-verify-registry -d 'A registry whose certificate is not checked. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from prune" -l registry-certificate -d 'A certificate authority for one registry, as REGISTRY=FILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from prune" -l registry-client-cert -d 'A certificate to show to one registry, and its key, as REGISTRY=FILE,KEYFILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from prune" -l registry-map -d 'Other places to ask for a registry\'s images first, as REGISTRY=OTHER[/PATH];… May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from prune" -l registry-mirror -d 'A place to ask for Docker Hub\'s images first, as HOST[:PORT][/PATH]. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from prune" -l skip-default-registry-fallback -d 'Do not ask a registry itself if there are other places to ask for its images' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from prune" -l authfile -d 'A file of credentials, as Docker\'s config.json or containers\' auth.json, or a directory of them such as a mounted secret; it goes before all others. May be repeated' -r -F
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from prune" -l credential-helpers -d 'Which sources of credentials are used beside files, of env, google, ecr, acr and gitlab; all if not given, none if empty' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from prune" -l push-retry -d 'How often to try again when a push fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from prune" -l image-download-retry -d 'How often to try again when a pull fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from prune" -l format -d 'How to say it' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from prune" -l older-than -d 'Remove what was not of use for so long, as 336h' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from prune" -l keep-size -d 'Keep so much of what was of use last, as in 500m or 2g, in each place' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from prune" -l dry-run -d 'Only say what would go' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from inspect" -l cache-dir -d 'A cache directory, instead or as well' -r -F
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from inspect" -l insecure -d 'Push by plain HTTP. Registries on the loopback interface need no such flag' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from inspect" -l insecure-pull -d 'Pull by plain HTTP' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from inspect" -l insecure-registry -d 'A registry to use by plain HTTP. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from inspect" -l skip-tls-verify -d 'Push and pull without checking certificates' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from inspect" -l skip-tls-verify-pull -d 'Pull without checking the registry\'s certificate' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from inspect" -l skip-tls-verify-registry -d 'A registry whose certificate is not checked. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from inspect" -l registry-certificate -d 'A certificate authority for one registry, as REGISTRY=FILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from inspect" -l registry-client-cert -d 'A certificate to show to one registry, and its key, as REGISTRY=FILE,KEYFILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from inspect" -l registry-map -d 'Other places to ask for a registry\'s images first, as REGISTRY=OTHER[/PATH];… May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from inspect" -l registry-mirror -d 'A place to ask for Docker Hub\'s images first, as HOST[:PORT][/PATH]. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from inspect" -l skip-default-registry-fallback -d 'Do not ask a registry itself if there are other places to ask for its images' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from inspect" -l authfile -d 'A file of credentials, as Docker\'s config.json or containers\' auth.json, or a directory of them such as a mounted secret; it goes before all others. May be repeated' -r -F
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from inspect" -l credential-helpers -d 'Which sources of credentials are used beside files, of env, google, ecr, acr and gitlab; all if not given, none if empty' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from inspect" -l push-retry -d 'How often to try again when a push fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from inspect" -l image-download-retry -d 'How often to try again when a pull fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from inspect" -l format -d 'How to say it' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from help" -f -a "ls" -d 'List what is there, what was of use last first'
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from help" -f -a "prune" -d 'Remove what is old, or too much'
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from help" -f -a "inspect" -d 'Show all that is known of one thing'
complete -c bako -n "__fish_bako_using_subcommand cache; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bako -n "__fish_bako_using_subcommand copy" -l platform -d 'Copy only the image for this platform, if there are several' -r
complete -c bako -n "__fish_bako_using_subcommand copy" -s a -l all -d 'Copy an index with all its images, which is done without this flag too' -r
complete -c bako -n "__fish_bako_using_subcommand copy" -l work-dir -d 'Where to work, if there are archives' -r -F
complete -c bako -n "__fish_bako_using_subcommand copy" -l insecure -d 'Push by plain HTTP. Registries on the loopback interface need no such flag' -r
complete -c bako -n "__fish_bako_using_subcommand copy" -l insecure-pull -d 'Pull by plain HTTP' -r
complete -c bako -n "__fish_bako_using_subcommand copy" -l insecure-registry -d 'A registry to use by plain HTTP. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand copy" -l skip-tls-verify -d 'Push and pull without checking certificates' -r
complete -c bako -n "__fish_bako_using_subcommand copy" -l skip-tls-verify-pull -d 'Pull without checking the registry\'s certificate' -r
complete -c bako -n "__fish_bako_using_subcommand copy" -l skip-tls-verify-registry -d 'A registry whose certificate is not checked. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand copy" -l registry-certificate -d 'A certificate authority for one registry, as REGISTRY=FILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand copy" -l registry-client-cert -d 'A certificate to show to one registry, and its key, as REGISTRY=FILE,KEYFILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand copy" -l registry-map -d 'Other places to ask for a registry\'s images first, as REGISTRY=OTHER[/PATH];… May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand copy" -l registry-mirror -d 'A place to ask for Docker Hub\'s images first, as HOST[:PORT][/PATH]. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand copy" -l skip-default-registry-fallback -d 'Do not ask a registry itself if there are other places to ask for its images' -r
complete -c bako -n "__fish_bako_using_subcommand copy" -l authfile -d 'A file of credentials, as Docker\'s config.json or containers\' auth.json, or a directory of them such as a mounted secret; it goes before all others. May be repeated' -r -F
complete -c bako -n "__fish_bako_using_subcommand copy" -l credential-helpers -d 'Which sources of credentials are used beside files, of env, google, ecr, acr and gitlab; all if not given, none if empty' -r
complete -c bako -n "__fish_bako_using_subcommand copy" -l push-retry -d 'How often to try again when a push fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand copy" -l image-download-retry -d 'How often to try again when a pull fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand copy" -s h -l help -d 'Print help'
complete -c bako -n "__fish_bako_using_subcommand digest" -l platform -d 'The digest of the image for this platform, if there are several' -r
complete -c bako -n "__fish_bako_using_subcommand digest" -l insecure -d 'Push by plain HTTP. Registries on the loopback interface need no such flag' -r
complete -c bako -n "__fish_bako_using_subcommand digest" -l insecure-pull -d 'Pull by plain HTTP' -r
complete -c bako -n "__fish_bako_using_subcommand digest" -l insecure-registry -d 'A registry to use by plain HTTP. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand digest" -l skip-tls-verify -d 'Push and pull without checking certificates' -r
complete -c bako -n "__fish_bako_using_subcommand digest" -l skip-tls-verify-pull -d 'Pull without checking the registry\'s certificate' -r
complete -c bako -n "__fish_bako_using_subcommand digest" -l skip-tls-verify-registry -d 'A registry whose certificate is not checked. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand digest" -l registry-certificate -d 'A certificate authority for one registry, as REGISTRY=FILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand digest" -l registry-client-cert -d 'A certificate to show to one registry, and its key, as REGISTRY=FILE,KEYFILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand digest" -l registry-map -d 'Other places to ask for a registry\'s images first, as REGISTRY=OTHER[/PATH];… May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand digest" -l registry-mirror -d 'A place to ask for Docker Hub\'s images first, as HOST[:PORT][/PATH]. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand digest" -l skip-default-registry-fallback -d 'Do not ask a registry itself if there are other places to ask for its images' -r
complete -c bako -n "__fish_bako_using_subcommand digest" -l authfile -d 'A file of credentials, as Docker\'s config.json or containers\' auth.json, or a directory of them such as a mounted secret; it goes before all others. May be repeated' -r -F
complete -c bako -n "__fish_bako_using_subcommand digest" -l credential-helpers -d 'Which sources of credentials are used beside files, of env, google, ecr, acr and gitlab; all if not given, none if empty' -r
complete -c bako -n "__fish_bako_using_subcommand digest" -l push-retry -d 'How often to try again when a push fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand digest" -l image-download-retry -d 'How often to try again when a pull fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand digest" -s h -l help -d 'Print help'
complete -c bako -n "__fish_bako_using_subcommand inspect" -l platform -d 'Which image, if there are several; this machine\'s platform if not given' -r
complete -c bako -n "__fish_bako_using_subcommand inspect" -l format -d 'How it is shown' -r -f -a "text\t'For people'
json\t'For programs, and with everything that the config says'"
complete -c bako -n "__fish_bako_using_subcommand inspect" -l files -d 'How many files are named, of each layer and in all' -r
complete -c bako -n "__fish_bako_using_subcommand inspect" -l insecure -d 'Push by plain HTTP. Registries on the loopback interface need no such flag' -r
complete -c bako -n "__fish_bako_using_subcommand inspect" -l insecure-pull -d 'Pull by plain HTTP' -r
complete -c bako -n "__fish_bako_using_subcommand inspect" -l insecure-registry -d 'A registry to use by plain HTTP. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand inspect" -l skip-tls-verify -d 'Push and pull without checking certificates' -r
complete -c bako -n "__fish_bako_using_subcommand inspect" -l skip-tls-verify-pull -d 'Pull without checking the registry\'s certificate' -r
complete -c bako -n "__fish_bako_using_subcommand inspect" -l skip-tls-verify-registry -d 'A registry whose certificate is not checked. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand inspect" -l registry-certificate -d 'A certificate authority for one registry, as REGISTRY=FILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand inspect" -l registry-client-cert -d 'A certificate to show to one registry, and its key, as REGISTRY=FILE,KEYFILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand inspect" -l registry-map -d 'Other places to ask for a registry\'s images first, as REGISTRY=OTHER[/PATH];… May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand inspect" -l registry-mirror -d 'A place to ask for Docker Hub\'s images first, as HOST[:PORT][/PATH]. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand inspect" -l skip-default-registry-fallback -d 'Do not ask a registry itself if there are other places to ask for its images' -r
complete -c bako -n "__fish_bako_using_subcommand inspect" -l authfile -d 'A file of credentials, as Docker\'s config.json or containers\' auth.json, or a directory of them such as a mounted secret; it goes before all others. May be repeated' -r -F
complete -c bako -n "__fish_bako_using_subcommand inspect" -l credential-helpers -d 'Which sources of credentials are used beside files, of env, google, ecr, acr and gitlab; all if not given, none if empty' -r
complete -c bako -n "__fish_bako_using_subcommand inspect" -l push-retry -d 'How often to try again when a push fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand inspect" -l image-download-retry -d 'How often to try again when a pull fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bako -n "__fish_bako_using_subcommand ls" -l insecure -d 'Push by plain HTTP. Registries on the loopback interface need no such flag' -r
complete -c bako -n "__fish_bako_using_subcommand ls" -l insecure-pull -d 'Pull by plain HTTP' -r
complete -c bako -n "__fish_bako_using_subcommand ls" -l insecure-registry -d 'A registry to use by plain HTTP. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand ls" -l skip-tls-verify -d 'Push and pull without checking certificates' -r
complete -c bako -n "__fish_bako_using_subcommand ls" -l skip-tls-verify-pull -d 'Pull without checking the registry\'s certificate' -r
complete -c bako -n "__fish_bako_using_subcommand ls" -l skip-tls-verify-registry -d 'A registry whose certificate is not checked. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand ls" -l registry-certificate -d 'A certificate authority for one registry, as REGISTRY=FILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand ls" -l registry-client-cert -d 'A certificate to show to one registry, and its key, as REGISTRY=FILE,KEYFILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand ls" -l registry-map -d 'Other places to ask for a registry\'s images first, as REGISTRY=OTHER[/PATH];… May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand ls" -l registry-mirror -d 'A place to ask for Docker Hub\'s images first, as HOST[:PORT][/PATH]. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand ls" -l skip-default-registry-fallback -d 'Do not ask a registry itself if there are other places to ask for its images' -r
complete -c bako -n "__fish_bako_using_subcommand ls" -l authfile -d 'A file of credentials, as Docker\'s config.json or containers\' auth.json, or a directory of them such as a mounted secret; it goes before all others. May be repeated' -r -F
complete -c bako -n "__fish_bako_using_subcommand ls" -l credential-helpers -d 'Which sources of credentials are used beside files, of env, google, ecr, acr and gitlab; all if not given, none if empty' -r
complete -c bako -n "__fish_bako_using_subcommand ls" -l push-retry -d 'How often to try again when a push fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand ls" -l image-download-retry -d 'How often to try again when a pull fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand ls" -s h -l help -d 'Print help'
complete -c bako -n "__fish_bako_using_subcommand manifest; and not __fish_seen_subcommand_from create annotate inspect push rm help" -s h -l help -d 'Print help'
complete -c bako -n "__fish_bako_using_subcommand manifest; and not __fish_seen_subcommand_from create annotate inspect push rm help" -f -a "create" -d 'Make a list on this machine, to be annotated and pushed'
complete -c bako -n "__fish_bako_using_subcommand manifest; and not __fish_seen_subcommand_from create annotate inspect push rm help" -f -a "annotate" -d 'Say what a member of a list is for'
complete -c bako -n "__fish_bako_using_subcommand manifest; and not __fish_seen_subcommand_from create annotate inspect push rm help" -f -a "inspect" -d 'Show a list, or an image'
complete -c bako -n "__fish_bako_using_subcommand manifest; and not __fish_seen_subcommand_from create annotate inspect push rm help" -f -a "push" -d 'Push a list, one that was made here or one of --from or --from-spec'
complete -c bako -n "__fish_bako_using_subcommand manifest; and not __fish_seen_subcommand_from create annotate inspect push rm help" -f -a "rm" -d 'Remove lists from this machine'
complete -c bako -n "__fish_bako_using_subcommand manifest; and not __fish_seen_subcommand_from create annotate inspect push rm help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from create" -s a -l amend -d 'Add to a list that is there' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from create" -l indexes -d 'Take indexes apart into their images, instead of refusing them' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from create" -l insecure -d 'Push by plain HTTP. Registries on the loopback interface need no such flag' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from create" -l insecure-pull -d 'Pull by plain HTTP' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from create" -l insecure-registry -d 'A registry to use by plain HTTP. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from create" -l skip-tls-verify -d 'Push and pull without checking certificates' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from create" -l skip-tls-verify-pull -d 'Pull without checking the registry\'s certificate' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from create" -l skip-tls-verify-registry -d 'A registry whose certificate is not checked. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from create" -l registry-certificate -d 'A certificate authority for one registry, as REGISTRY=FILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from create" -l registry-client-cert -d 'A certificate to show to one registry, and its key, as REGISTRY=FILE,KEYFILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from create" -l registry-map -d 'Other places to ask for a registry\'s images first, as REGISTRY=OTHER[/PATH];… May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from create" -l registry-mirror -d 'A place to ask for Docker Hub\'s images first, as HOST[:PORT][/PATH]. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from create" -l skip-default-registry-fallback -d 'Do not ask a registry itself if there are other places to ask for its images' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from create" -l authfile -d 'A file of credentials, as Docker\'s config.json or containers\' auth.json, or a directory of them such as a mounted secret; it goes before all others. May be repeated' -r -F
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from create" -l credential-helpers -d 'Which sources of credentials are used beside files, of env, google, ecr, acr and gitlab; all if not given, none if empty' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from create" -l push-retry -d 'How often to try again when a push fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from create" -l image-download-retry -d 'How often to try again when a pull fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help'
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from annotate" -l os -d 'Its system' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from annotate" -l arch -d 'Its processor' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from annotate" -l variant -d 'The processor\'s variant' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from annotate" -l os-version -d 'The system\'s version' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from annotate" -l os-features -d 'Features of the system, added to those it has' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from annotate" -l annotation -d 'An annotation of the member in the list, as NAME=VALUE; OCI lists only. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from annotate" -s h -l help -d 'Print help'
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from inspect" -s v -l verbose -d 'Show what is stored of it' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from inspect" -l insecure -d 'Push by plain HTTP. Registries on the loopback interface need no such flag' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from inspect" -l insecure-pull -d 'Pull by plain HTTP' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from inspect" -l insecure-registry -d 'A registry to use by plain HTTP. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from inspect" -l skip-tls-verify -d 'Push and pull without checking certificates' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from inspect" -l skip-tls-verify-pull -d 'Pull without checking the registry\'s certificate' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from inspect" -l skip-tls-verify-registry -d 'A registry whose certificate is not checked. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from inspect" -l registry-certificate -d 'A certificate authority for one registry, as REGISTRY=FILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from inspect" -l registry-client-cert -d 'A certificate to show to one registry, and its key, as REGISTRY=FILE,KEYFILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from inspect" -l registry-map -d 'Other places to ask for a registry\'s images first, as REGISTRY=OTHER[/PATH];… May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from inspect" -l registry-mirror -d 'A place to ask for Docker Hub\'s images first, as HOST[:PORT][/PATH]. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from inspect" -l skip-default-registry-fallback -d 'Do not ask a registry itself if there are other places to ask for its images' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from inspect" -l authfile -d 'A file of credentials, as Docker\'s config.json or containers\' auth.json, or a directory of them such as a mounted secret; it goes before all others. May be repeated' -r -F
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from inspect" -l credential-helpers -d 'Which sources of credentials are used beside files, of env, google, ecr, acr and gitlab; all if not given, none if empty' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from inspect" -l push-retry -d 'How often to try again when a push fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from inspect" -l image-download-retry -d 'How often to try again when a pull fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Print help'
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from push" -l from -d 'A member; then nothing of this machine\'s store is used, and members keep this order. With its platform before it, it need not be asked what it is for. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from push" -l from-spec -d 'A file of manifest-tool that says what to join' -r -F
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from push" -l ignore-missing -d 'Leave out members of the file that are not there' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from push" -l type -d 'The type of the list' -r -f -a "auto\t'That of the first member'
oci\t'An OCI index'
docker\t'A Docker manifest list'"
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from push" -l tag -d 'A further tag for the list. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from push" -l annotation -d 'An annotation of the list, as NAME=VALUE; OCI lists only. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from push" -s p -l purge -d 'Remove the list from this machine once it is pushed' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from push" -l insecure -d 'Push by plain HTTP. Registries on the loopback interface need no such flag' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from push" -l insecure-pull -d 'Pull by plain HTTP' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from push" -l insecure-registry -d 'A registry to use by plain HTTP. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from push" -l skip-tls-verify -d 'Push and pull without checking certificates' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from push" -l skip-tls-verify-pull -d 'Pull without checking the registry\'s certificate' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from push" -l skip-tls-verify-registry -d 'A registry whose certificate is not checked. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from push" -l registry-certificate -d 'A certificate authority for one registry, as REGISTRY=FILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from push" -l registry-client-cert -d 'A certificate to show to one registry, and its key, as REGISTRY=FILE,KEYFILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from push" -l registry-map -d 'Other places to ask for a registry\'s images first, as REGISTRY=OTHER[/PATH];… May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from push" -l registry-mirror -d 'A place to ask for Docker Hub\'s images first, as HOST[:PORT][/PATH]. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from push" -l skip-default-registry-fallback -d 'Do not ask a registry itself if there are other places to ask for its images' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from push" -l authfile -d 'A file of credentials, as Docker\'s config.json or containers\' auth.json, or a directory of them such as a mounted secret; it goes before all others. May be repeated' -r -F
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from push" -l credential-helpers -d 'Which sources of credentials are used beside files, of env, google, ecr, acr and gitlab; all if not given, none if empty' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from push" -l push-retry -d 'How often to try again when a push fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from push" -l image-download-retry -d 'How often to try again when a pull fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from push" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help'
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from help" -f -a "create" -d 'Make a list on this machine, to be annotated and pushed'
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from help" -f -a "annotate" -d 'Say what a member of a list is for'
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from help" -f -a "inspect" -d 'Show a list, or an image'
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from help" -f -a "push" -d 'Push a list, one that was made here or one of --from or --from-spec'
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Remove lists from this machine'
complete -c bako -n "__fish_bako_using_subcommand manifest; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -s f -l file -d 'A file, a directory, an address (https://…), or `-` for standard input. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l output -d 'How the documents are printed' -r -f -a "text\t'As they were written, with other images and the annotation'
kbld\t'As kbld prints them: keys sorted, without comments'"
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l build -d 'Whether images that have a source are built' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l build-concurrency -d 'Images that are built at the same time' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l concurrency -d 'References that are looked up at the same time' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l images-annotation -d 'Whether the annotation kbld.k14s.io/images is written' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l origins-annotation -d 'Whether imgpkg\'s lock has the origins of its images' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l image-map-file -d 'A JSON object of references and what takes their place' -r -F
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l lock-output -d 'Write a Config that makes the next run come to the same' -r -F
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l imgpkg-lock-output -d 'Write an ImagesLock of imgpkg' -r -F
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l unresolved-inspect -d 'Only print the references, and resolve nothing' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l platform -d 'Which image of an index is meant, as OS/ARCHITECTURE[/VARIANT][:OSVERSION]' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l oci-layout-path -d 'Where images go that are built and have no destination: each an OCI layout in a directory below this one' -r -F
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l registry-ca-cert-path -d 'A certificate authority for every registry. May be repeated' -r -F
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l registry-verify-certs -d 'Whether certificates are checked' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l registry-insecure -d 'Every registry may speak plain HTTP' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l insecure -d 'Push by plain HTTP. Registries on the loopback interface need no such flag' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l insecure-pull -d 'Pull by plain HTTP' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l insecure-registry -d 'A registry to use by plain HTTP. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l skip-tls-verify -d 'Push and pull without checking certificates' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l skip-tls-verify-pull -d 'Pull without checking the registry\'s certificate' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l skip-tls-verify-registry -d 'A registry whose certificate is not checked. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l registry-certificate -d 'A certificate authority for one registry, as REGISTRY=FILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l registry-client-cert -d 'A certificate to show to one registry, and its key, as REGISTRY=FILE,KEYFILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l registry-map -d 'Other places to ask for a registry\'s images first, as REGISTRY=OTHER[/PATH];… May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l registry-mirror -d 'A place to ask for Docker Hub\'s images first, as HOST[:PORT][/PATH]. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l skip-default-registry-fallback -d 'Do not ask a registry itself if there are other places to ask for its images' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l authfile -d 'A file of credentials, as Docker\'s config.json or containers\' auth.json, or a directory of them such as a mounted secret; it goes before all others. May be repeated' -r -F
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l credential-helpers -d 'Which sources of credentials are used beside files, of env, google, ecr, acr and gitlab; all if not given, none if empty' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l push-retry -d 'How often to try again when a push fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l image-download-retry -d 'How often to try again when a pull fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l sort -d 'Nothing: the order of the output is that of the input' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l isolation -d 'How a RUN is kept to its root' -r -f -a "auto\t'The best of those that work here'
ns\t'Namespaces and, where the kernel allows it, an overlay'
chroot\t'chroot(2) alone'
supervised\t'No privilege: a supervisor that answers system calls'"
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l cache-dir -d 'Keep layers of bases and their indexes here; see the same flag of a build' -r -F
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l work-dir -d 'Where to work' -r -F
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l verbosity -d 'How much to say' -r -f -a "error\t'Errors only; Kaniko\'s `panic` and `fatal` are the same here'
warn\t'And warnings'
info\t'And what is being done'
debug\t'And why'
trace\t'And every request'"
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -l log-format -d 'How to say it' -r -f -a "text\t'Plain lines'
color\t'Lines with colour, where stderr is a terminal that shows it'
json\t'One JSON object a line'"
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -f -a "inspect" -d 'Show the images of the resources, and where an earlier run said that they come from'
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -f -a "relocate" -d 'Copy pinned images to one repository, and print the documents with their new places'
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -f -a "package" -d 'Write pinned images into one file'
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -f -a "unpackage" -d 'Push the images of such a file to one repository, and print the documents with their new places'
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -f -a "version" -d 'Print the version'
complete -c bako -n "__fish_bako_using_subcommand resolve; and not __fish_seen_subcommand_from inspect relocate package unpackage version help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from inspect" -s f -l file -d 'A file, a directory, or `-` for standard input. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Print help'
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -s f -l file -d 'A file, a directory, an address (https://…), or `-` for standard input. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -l concurrency -d 'Images and layers that are on their way at the same time' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -l registry-ca-cert-path -d 'A certificate authority for every registry. May be repeated' -r -F
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -l registry-verify-certs -d 'Whether certificates are checked' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -l registry-insecure -d 'Every registry may speak plain HTTP' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -l insecure -d 'Push by plain HTTP. Registries on the loopback interface need no such flag' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -l insecure-pull -d 'Pull by plain HTTP' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -l insecure-registry -d 'A registry to use by plain HTTP. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -l skip-tls-verify -d 'Push and pull without checking certificates' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -l skip-tls-verify-pull -d 'Pull without checking the registry\'s certificate' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -l skip-tls-verify-registry -d 'A registry whose certificate is not checked. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -l registry-certificate -d 'A certificate authority for one registry, as REGISTRY=FILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -l registry-client-cert -d 'A certificate to show to one registry, and its key, as REGISTRY=FILE,KEYFILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -l registry-map -d 'Other places to ask for a registry\'s images first, as REGISTRY=OTHER[/PATH];… May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -l registry-mirror -d 'A place to ask for Docker Hub\'s images first, as HOST[:PORT][/PATH]. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -l skip-default-registry-fallback -d 'Do not ask a registry itself if there are other places to ask for its images' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -l authfile -d 'A file of credentials, as Docker\'s config.json or containers\' auth.json, or a directory of them such as a mounted secret; it goes before all others. May be repeated' -r -F
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -l credential-helpers -d 'Which sources of credentials are used beside files, of env, google, ecr, acr and gitlab; all if not given, none if empty' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -l push-retry -d 'How often to try again when a push fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -l image-download-retry -d 'How often to try again when a pull fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -l work-dir -d 'Where to work' -r -F
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -s r -l repository -d 'The repository that takes all images' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -l lock-output -d 'Write a Config that leads to the images in their new place' -r -F
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -l output -d 'How the documents are printed' -r -f -a "text\t'As they were written, with other images and the annotation'
kbld\t'As kbld prints them: keys sorted, without comments'"
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from relocate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from package" -s f -l file -d 'A file, a directory, an address (https://…), or `-` for standard input. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from package" -l concurrency -d 'Images and layers that are on their way at the same time' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from package" -l registry-ca-cert-path -d 'A certificate authority for every registry. May be repeated' -r -F
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from package" -l registry-verify-certs -d 'Whether certificates are checked' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from package" -l registry-insecure -d 'Every registry may speak plain HTTP' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from package" -l insecure -d 'Push by plain HTTP. Registries on the loopback interface need no such flag' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from package" -l insecure-pull -d 'Pull by plain HTTP' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from package" -l insecure-registry -d 'A registry to use by plain HTTP. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from package" -l skip-tls-verify -d 'Push and pull without checking certificates' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from package" -l skip-tls-verify-pull -d 'Pull without checking the registry\'s certificate' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from package" -l skip-tls-verify-registry -d 'A registry whose certificate is not checked. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from package" -l registry-certificate -d 'A certificate authority for one registry, as REGISTRY=FILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from package" -l registry-client-cert -d 'A certificate to show to one registry, and its key, as REGISTRY=FILE,KEYFILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from package" -l registry-map -d 'Other places to ask for a registry\'s images first, as REGISTRY=OTHER[/PATH];… May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from package" -l registry-mirror -d 'A place to ask for Docker Hub\'s images first, as HOST[:PORT][/PATH]. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from package" -l skip-default-registry-fallback -d 'Do not ask a registry itself if there are other places to ask for its images' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from package" -l authfile -d 'A file of credentials, as Docker\'s config.json or containers\' auth.json, or a directory of them such as a mounted secret; it goes before all others. May be repeated' -r -F
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from package" -l credential-helpers -d 'Which sources of credentials are used beside files, of env, google, ecr, acr and gitlab; all if not given, none if empty' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from package" -l push-retry -d 'How often to try again when a push fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from package" -l image-download-retry -d 'How often to try again when a pull fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from package" -l work-dir -d 'Where to work' -r -F
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from package" -s o -l output -d 'The file' -r -F
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from package" -s h -l help -d 'Print help'
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -s f -l file -d 'A file, a directory, an address (https://…), or `-` for standard input. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -l concurrency -d 'Images and layers that are on their way at the same time' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -l registry-ca-cert-path -d 'A certificate authority for every registry. May be repeated' -r -F
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -l registry-verify-certs -d 'Whether certificates are checked' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -l registry-insecure -d 'Every registry may speak plain HTTP' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -l insecure -d 'Push by plain HTTP. Registries on the loopback interface need no such flag' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -l insecure-pull -d 'Pull by plain HTTP' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -l insecure-registry -d 'A registry to use by plain HTTP. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -l skip-tls-verify -d 'Push and pull without checking certificates' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -l skip-tls-verify-pull -d 'Pull without checking the registry\'s certificate' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -l skip-tls-verify-registry -d 'A registry whose certificate is not checked. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -l registry-certificate -d 'A certificate authority for one registry, as REGISTRY=FILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -l registry-client-cert -d 'A certificate to show to one registry, and its key, as REGISTRY=FILE,KEYFILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -l registry-map -d 'Other places to ask for a registry\'s images first, as REGISTRY=OTHER[/PATH];… May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -l registry-mirror -d 'A place to ask for Docker Hub\'s images first, as HOST[:PORT][/PATH]. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -l skip-default-registry-fallback -d 'Do not ask a registry itself if there are other places to ask for its images' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -l authfile -d 'A file of credentials, as Docker\'s config.json or containers\' auth.json, or a directory of them such as a mounted secret; it goes before all others. May be repeated' -r -F
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -l credential-helpers -d 'Which sources of credentials are used beside files, of env, google, ecr, acr and gitlab; all if not given, none if empty' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -l push-retry -d 'How often to try again when a push fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -l image-download-retry -d 'How often to try again when a pull fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -l work-dir -d 'Where to work' -r -F
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -s i -l input -d 'The file' -r -F
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -s r -l repository -d 'The repository that takes all images' -r
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -l lock-output -d 'Write a Config that leads to the images in their new place' -r -F
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -l output -d 'How the documents are printed' -r -f -a "text\t'As they were written, with other images and the annotation'
kbld\t'As kbld prints them: keys sorted, without comments'"
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from unpackage" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from version" -s h -l help -d 'Print help'
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from help" -f -a "inspect" -d 'Show the images of the resources, and where an earlier run said that they come from'
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from help" -f -a "relocate" -d 'Copy pinned images to one repository, and print the documents with their new places'
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from help" -f -a "package" -d 'Write pinned images into one file'
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from help" -f -a "unpackage" -d 'Push the images of such a file to one repository, and print the documents with their new places'
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from help" -f -a "version" -d 'Print the version'
complete -c bako -n "__fish_bako_using_subcommand resolve; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bako -n "__fish_bako_using_subcommand verify" -l key -d 'The public key, ECDSA on P-256 in PEM, as cosign.pub' -r -F
complete -c bako -n "__fish_bako_using_subcommand verify" -l payloads -d 'Print the texts that were signed, as a JSON array, as cosign does' -r
complete -c bako -n "__fish_bako_using_subcommand verify" -l insecure -d 'Push by plain HTTP. Registries on the loopback interface need no such flag' -r
complete -c bako -n "__fish_bako_using_subcommand verify" -l insecure-pull -d 'Pull by plain HTTP' -r
complete -c bako -n "__fish_bako_using_subcommand verify" -l insecure-registry -d 'A registry to use by plain HTTP. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand verify" -l skip-tls-verify -d 'Push and pull without checking certificates' -r
complete -c bako -n "__fish_bako_using_subcommand verify" -l skip-tls-verify-pull -d 'Pull without checking the registry\'s certificate' -r
complete -c bako -n "__fish_bako_using_subcommand verify" -l skip-tls-verify-registry -d 'A registry whose certificate is not checked. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand verify" -l registry-certificate -d 'A certificate authority for one registry, as REGISTRY=FILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand verify" -l registry-client-cert -d 'A certificate to show to one registry, and its key, as REGISTRY=FILE,KEYFILE. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand verify" -l registry-map -d 'Other places to ask for a registry\'s images first, as REGISTRY=OTHER[/PATH];… May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand verify" -l registry-mirror -d 'A place to ask for Docker Hub\'s images first, as HOST[:PORT][/PATH]. May be repeated' -r
complete -c bako -n "__fish_bako_using_subcommand verify" -l skip-default-registry-fallback -d 'Do not ask a registry itself if there are other places to ask for its images' -r
complete -c bako -n "__fish_bako_using_subcommand verify" -l authfile -d 'A file of credentials, as Docker\'s config.json or containers\' auth.json, or a directory of them such as a mounted secret; it goes before all others. May be repeated' -r -F
complete -c bako -n "__fish_bako_using_subcommand verify" -l credential-helpers -d 'Which sources of credentials are used beside files, of env, google, ecr, acr and gitlab; all if not given, none if empty' -r
complete -c bako -n "__fish_bako_using_subcommand verify" -l push-retry -d 'How often to try again when a push fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand verify" -l image-download-retry -d 'How often to try again when a pull fails for a passing reason, if more often than five times' -r
complete -c bako -n "__fish_bako_using_subcommand verify" -s h -l help -d 'Print help'
complete -c bako -n "__fish_bako_using_subcommand version" -s h -l help -d 'Print help'
complete -c bako -n "__fish_bako_using_subcommand help; and not __fish_seen_subcommand_from probe registry push login warmer cache copy digest inspect ls manifest resolve verify version help" -f -a "probe" -d 'Show which isolations for RUN work here, and why the others do not'
complete -c bako -n "__fish_bako_using_subcommand help; and not __fish_seen_subcommand_from probe registry push login warmer cache copy digest inspect ls manifest resolve verify version help" -f -a "registry" -d 'A small registry for laptops, tests and sites without a network'
complete -c bako -n "__fish_bako_using_subcommand help; and not __fish_seen_subcommand_from probe registry push login warmer cache copy digest inspect ls manifest resolve verify version help" -f -a "push" -d 'Push an image that is in a docker archive or an OCI layout'
complete -c bako -n "__fish_bako_using_subcommand help; and not __fish_seen_subcommand_from probe registry push login warmer cache copy digest inspect ls manifest resolve verify version help" -f -a "login" -d 'Note a user and a password for a registry in docker\'s config.json'
complete -c bako -n "__fish_bako_using_subcommand help; and not __fish_seen_subcommand_from probe registry push login warmer cache copy digest inspect ls manifest resolve verify version help" -f -a "warmer" -d 'Bring base images into a cache directory before builds ask for them'
complete -c bako -n "__fish_bako_using_subcommand help; and not __fish_seen_subcommand_from probe registry push login warmer cache copy digest inspect ls manifest resolve verify version help" -f -a "cache" -d 'See what is in a cache, and make room in it'
complete -c bako -n "__fish_bako_using_subcommand help; and not __fish_seen_subcommand_from probe registry push login warmer cache copy digest inspect ls manifest resolve verify version help" -f -a "copy" -d 'Copy an image, or an index with all its images, between registries, layouts and archives'
complete -c bako -n "__fish_bako_using_subcommand help; and not __fish_seen_subcommand_from probe registry push login warmer cache copy digest inspect ls manifest resolve verify version help" -f -a "digest" -d 'Print the digest of an image'
complete -c bako -n "__fish_bako_using_subcommand help; and not __fish_seen_subcommand_from probe registry push login warmer cache copy digest inspect ls manifest resolve verify version help" -f -a "inspect" -d 'Show what an image is: config, layers, what each of them adds and hides, the biggest files'
complete -c bako -n "__fish_bako_using_subcommand help; and not __fish_seen_subcommand_from probe registry push login warmer cache copy digest inspect ls manifest resolve verify version help" -f -a "ls" -d 'List the tags of a repository'
complete -c bako -n "__fish_bako_using_subcommand help; and not __fish_seen_subcommand_from probe registry push login warmer cache copy digest inspect ls manifest resolve verify version help" -f -a "manifest" -d 'Join images to an index of several platforms: what docker manifest does'
complete -c bako -n "__fish_bako_using_subcommand help; and not __fish_seen_subcommand_from probe registry push login warmer cache copy digest inspect ls manifest resolve verify version help" -f -a "resolve" -d 'Pin the images of manifests to digests, and build those that have a source: what kbld does'
complete -c bako -n "__fish_bako_using_subcommand help; and not __fish_seen_subcommand_from probe registry push login warmer cache copy digest inspect ls manifest resolve verify version help" -f -a "verify" -d 'Check that an image is signed with a key: what cosign verify --key does'
complete -c bako -n "__fish_bako_using_subcommand help; and not __fish_seen_subcommand_from probe registry push login warmer cache copy digest inspect ls manifest resolve verify version help" -f -a "version" -d 'Print the version'
complete -c bako -n "__fish_bako_using_subcommand help; and not __fish_seen_subcommand_from probe registry push login warmer cache copy digest inspect ls manifest resolve verify version help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bako -n "__fish_bako_using_subcommand help; and __fish_seen_subcommand_from registry" -f -a "serve" -d 'Serve the OCI distribution protocol. Each repository is kept as an OCI layout'
complete -c bako -n "__fish_bako_using_subcommand help; and __fish_seen_subcommand_from cache" -f -a "ls" -d 'List what is there, what was of use last first'
complete -c bako -n "__fish_bako_using_subcommand help; and __fish_seen_subcommand_from cache" -f -a "prune" -d 'Remove what is old, or too much'
complete -c bako -n "__fish_bako_using_subcommand help; and __fish_seen_subcommand_from cache" -f -a "inspect" -d 'Show all that is known of one thing'
complete -c bako -n "__fish_bako_using_subcommand help; and __fish_seen_subcommand_from manifest" -f -a "create" -d 'Make a list on this machine, to be annotated and pushed'
complete -c bako -n "__fish_bako_using_subcommand help; and __fish_seen_subcommand_from manifest" -f -a "annotate" -d 'Say what a member of a list is for'
complete -c bako -n "__fish_bako_using_subcommand help; and __fish_seen_subcommand_from manifest" -f -a "inspect" -d 'Show a list, or an image'
complete -c bako -n "__fish_bako_using_subcommand help; and __fish_seen_subcommand_from manifest" -f -a "push" -d 'Push a list, one that was made here or one of --from or --from-spec'
complete -c bako -n "__fish_bako_using_subcommand help; and __fish_seen_subcommand_from manifest" -f -a "rm" -d 'Remove lists from this machine'
complete -c bako -n "__fish_bako_using_subcommand help; and __fish_seen_subcommand_from resolve" -f -a "inspect" -d 'Show the images of the resources, and where an earlier run said that they come from'
complete -c bako -n "__fish_bako_using_subcommand help; and __fish_seen_subcommand_from resolve" -f -a "relocate" -d 'Copy pinned images to one repository, and print the documents with their new places'
complete -c bako -n "__fish_bako_using_subcommand help; and __fish_seen_subcommand_from resolve" -f -a "package" -d 'Write pinned images into one file'
complete -c bako -n "__fish_bako_using_subcommand help; and __fish_seen_subcommand_from resolve" -f -a "unpackage" -d 'Push the images of such a file to one repository, and print the documents with their new places'
complete -c bako -n "__fish_bako_using_subcommand help; and __fish_seen_subcommand_from resolve" -f -a "version" -d 'Print the version'
