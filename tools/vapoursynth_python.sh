#!/bin/sh
# A Python that has VapourSynth, for tests/test_vapoursynth.py, on a Debian whose own is too old: Debian 13's, unpacked into a folder and
# run with its own C library. Nothing is installed, and nothing outside of the folder is written. As root: apt-get install debootstrap
#
#     sh tools/vapoursynth_python.sh FOLDER
#     FSRCNN_VAPOURSYNTH=FOLDER/python .venv/bin/python -m pytest tests/test_vapoursynth.py
set -eu
[ $# = 1 ] || { echo "give the folder: sh tools/vapoursynth_python.sh FOLDER" >&2; exit 2; }
[ ! -x "$1/python" ] || exit 0
command -v debootstrap > /dev/null || { echo "debootstrap is missing; type: apt-get install debootstrap" >&2; exit 1; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
root=$folder/root site=$folder/site
case $(uname -m) in
    x86_64) linker=ld-linux-x86-64.so.2 ;;
    aarch64) linker=ld-linux-aarch64.so.1 ;;
    *) echo "there is no VapourSynth for $(uname -m)" >&2; exit 1 ;;
esac
libraries=$root/usr/lib/$(uname -m)-linux-gnu
rm -rf "$root" "$site"
debootstrap --foreign --variant=minbase --include=python3 trixie "$root" > "$folder/debootstrap.log" 2>&1 || { tail -n 3 "$folder/debootstrap.log" >&2; exit 1; }
for package in "$root"/var/cache/apt/archives/*.deb; do  # the first stage unpacks only what is required
    case ${package##*/} in *python3* | libexpat* | libffi* | libssl* | libsqlite* | libreadline* | libncurses* | libuuid*) dpkg-deb -x "$package" "$root" ;; esac
done
find "$root" -mindepth 1 -maxdepth 1 ! -name usr -exec rm -rf {} +  # links that lead out of it: proc, var/run
cat > "$folder/made" << END
#!/bin/sh
exec env PYTHONHOME=$root/usr PYTHONPATH=$site $libraries/$linker --library-path $libraries $root/usr/bin/python3.13 "\$@"
END
chmod +x "$folder/made"
pip=$("${PYTHON:-python3}" -c 'import pip; print(*pip.__path__)')
"$folder/made" "$pip" install --quiet --only-binary :all: --target "$site" vapoursynth
mv "$folder/made" "$folder/python"
