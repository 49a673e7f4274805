# Turns into a shell on a throw-away copy of this host, whose disk, network and processes end with it.
# Run by stage.py in namespaces of its own: open.sh FOLDER REPOSITORY VENV
set -eu
folder=$1 repository=$2 venv=$3

mount -t tmpfs stage "$folder"
root=$folder/root
mkdir "$root" "$folder/changes" "$folder/work"
mount -t overlay -o "lowerdir=/,upperdir=$folder/changes,workdir=$folder/work" stage "$root"
mount -t sysfs stage "$root/sys"  # that of the network in here
for each in /proc /dev /sys/fs/cgroup; do
    mount --rbind "$each" "$root$each"
done
mount --bind -o ro "$repository" "$root$repository"
ip link set lo up

# curl fails where the server refuses, as everything else does; it knows no other way to be told so once for all.
mkdir -p "$root/stage" "$root/home/reader"
printf 'silent\nshow-error\nfail-with-body\n' >"$root/home/reader/.curlrc"

exec env -i HOME=/home/reader LANG=C.UTF-8 USER=root AWS_EC2_METADATA_DISABLED=true \
    PATH="$venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
    PYTHONPATH="$repository/tests/docs/stage/impatient" REPOSITORY="$repository" \
    chroot "$root" bash --noprofile --norc -c 'cd && exec bash --noprofile --norc'
