#!/bin/sh
# Makes an OCI image, as a folder in OCI's layout: `build.sh AFMPEG MODULE INTO`.
#
# AFMPEG is the command, built with the feature `cluster`; MODULE is a .wasm file. Of the system, the image has only the libraries that
# the command is linked with, and the certificates of authorities. The same files make the same bytes: names are sorted, times and
# owners are fixed, and nothing is asked of a network.
set -eu

if [ $# -ne 3 ]; then
    echo "build.sh AFMPEG MODULE INTO" >&2
    exit 2
fi
command=$1 module=$2 into=$3
case $(uname -m) in
    x86_64) architecture=amd64 ;;
    aarch64) architecture=arm64 ;;
    *) echo "build.sh: no image is made for $(uname -m)" >&2 && exit 1 ;;
esac
# What is replaced is such an image, and nothing else.
if [ -e "$into" ] && [ ! -f "$into/oci-layout" ]; then
    echo "build.sh: $into is there and is no OCI image: name another folder" >&2
    exit 1
fi
umask 022
# Beside its place, which it takes by a rename.
work=$(mktemp -d "$into.XXXXXX")
trap 'rm -rf "$work"' EXIT

root=$work/root
mkdir -p "$root/opt/afmpeg" "$root/usr/bin" "$root/etc/ssl/certs" "$root/tmp" "$root/var/cache/afmpeg"
cp "$command" "$root/usr/bin/afmpeg"
cp "$module" "$root/opt/afmpeg/$(basename "$module")"
# Packs of the module, with which it is not compiled first.
for pack in "${module%.wasm}".*-linux.so; do
    if [ -f "$pack" ]; then
        cp "$pack" "${pack%.so}.json" "$root/opt/afmpeg/"
    fi
done
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
echo "worker:x:65532:65532::/tmp:/usr/bin/afmpeg" > "$root/etc/passwd"
ldd "$command" | grep -o '/[^ ]*' | sort -u | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp --dereference "$library" "$root$library"
done
# Nobody but root can have written what is run.
chmod -R u=rwX,go=rX "$root"
chmod 755 "$root/usr/bin/afmpeg"
chmod 1777 "$root/tmp"

layout=$work/layout
blobs=$layout/blobs/sha256
mkdir -p "$blobs"
digest() { sha256sum "$1" | cut -d ' ' -f 1; }
keep() { # moves a file to its digest, and prints digest and size
    name=$(digest "$1") size=$(stat -c %s "$1")
    mv "$1" "$blobs/$name"
    echo "$name $size"
}

tar --create --file "$work/layer.tar" --directory "$root" --sort name --format ustar --mtime @0 --owner 0 --group 0 --numeric-owner .
layer=$(digest "$work/layer.tar")
gzip --no-name --best "$work/layer.tar"
set -- $(keep "$work/layer.tar.gz")
layer_gz=$1 layer_size=$2

cat > "$work/config" <<END
{"architecture":"$architecture","os":"linux","created":"1970-01-01T00:00:00Z","config":{"User":"65532:65532","Env":["AFMPEG_MODULE=/opt/afmpeg/$(basename "$module")","XDG_CACHE_HOME=/tmp"],"Entrypoint":["/usr/bin/afmpeg"],"Cmd":["worker","--policy","/etc/afmpeg/policy.toml"],"WorkingDir":"/tmp","StopSignal":"SIGTERM"},"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]},"history":[{"created":"1970-01-01T00:00:00Z","created_by":"deploy/image/build.sh"}]}
END
set -- $(keep "$work/config")
config=$1 config_size=$2

cat > "$work/manifest" <<END
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:$config","size":$config_size},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:$layer_gz","size":$layer_size}]}
END
set -- $(keep "$work/manifest")
manifest=$1 manifest_size=$2

echo '{"imageLayoutVersion":"1.0.0"}' > "$layout/oci-layout"
cat > "$layout/index.json" <<END
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:$manifest","size":$manifest_size,"platform":{"architecture":"$architecture","os":"linux"},"annotations":{"org.opencontainers.image.ref.name":"afmpeg"}}]}
END
rm -rf "$into"
mv "$layout" "$into"
echo "sha256:$manifest"
