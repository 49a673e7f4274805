# What a machine does at its first boot, for cloud-init or the micro guest to run once for each instance-id, before the
# renter's own script. Any POSIX shell will do, and doing it twice does no harm. The values stand above.
# shellcheck shell=sh disable=SC2154

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
umask 022
state=/var/lib/onefleet
log=/var/log/onefleet-script.log
tries=24
pause_seconds=5
console=/dev/console
{ : >"$console"; } 2>/dev/null || console=/dev/stdout

say() {
    echo "onefleet: $*" >"$console"
}

has() {
    command -v "$1" >/dev/null 2>&1
}

home_of() {
    awk -F: -v user="$1" '$1 == user { print $6 }' /etc/passwd
}

make_user() {
    id "$user" >/dev/null 2>&1 && return
    shell=/bin/bash
    [ -x "$shell" ] || shell=/bin/sh
    useradd -m -s "$shell" "$user" || adduser -D -s "$shell" "$user" || { say "the user $user cannot be made"; return 1; }
    # An OpenSSH without PAM refuses those whose password is locked, also with a key.
    has usermod && usermod -p '*' "$user"
    [ -d /etc/sudoers.d ] || return 0
    echo "$user ALL=(ALL) NOPASSWD:ALL" >"/etc/sudoers.d/90-onefleet-$user"
    chmod 440 "/etc/sudoers.d/90-onefleet-$user"
}

authorize() {
    folder=$(home_of "$user")/.ssh
    mkdir -p "$folder"
    touch "$folder/authorized_keys"
    printf '%s\n' "$keys" | while IFS= read -r key; do
        [ -z "$key" ] || grep -qxF -e "$key" "$folder/authorized_keys" || printf '%s\n' "$key" >>"$folder/authorized_keys"
    done
    chmod 700 "$folder"
    chmod 600 "$folder/authorized_keys"
    chown -R "$user:$(id -g "$user")" "$folder"
}

set_password() {
    printf 'root:%s\n' "$password" | chpasswd || { say 'the password of root cannot be set'; return; }
    [ -f /etc/ssh/sshd_config ] || return 0
    rules=/etc/ssh/sshd_config
    # The first value that sshd reads is the one that counts.
    grep -q '^Include /etc/ssh/sshd_config.d/' "$rules" && rules=/etc/ssh/sshd_config.d/00-onefleet.conf
    grep -qs '^Match User root # onefleet' "$rules" || cat >>"$rules" <<'RULES'
Match User root # onefleet
    PermitRootLogin yes
    PasswordAuthentication yes
Match all
RULES
    systemctl reload ssh 2>/dev/null || systemctl reload sshd 2>/dev/null || service ssh reload 2>/dev/null ||
        service sshd reload 2>/dev/null
}

# get URL FILE
get() {
    if has curl; then
        curl -fsSL --proto =http,https --connect-timeout 15 --speed-limit 1 --speed-time 60 -o "$2" "$1"
    elif has wget; then
        wget -q -O "$2" "$1"  # busybox's as Debian builds it crashes when told a time-out
    else
        python3 -c 'import sys, urllib.request as web; web.urlretrieve(*sys.argv[1:])' "$1" "$2"
    fi
}

# download WHAT URL FILE: the network, or what answers there, may come late.
download() {
    left=$tries
    until problem=$(get "$2" "$3.part" 2>&1); do
        left=$((left - 1))
        if [ "$left" -le 0 ]; then
            rm -f "$3.part"
            say "$1 cannot be downloaded; given up after $tries tries. $problem"
            return 1
        fi
        sleep "$pause_seconds"
    done
    mv "$3.part" "$3"
}

fetch_file() {
    home=$(home_of "$user")
    [ -d "$home" ] || { say "there is no user $user for the file"; return; }
    target=$home/$file_name
    [ ! -e "$target" ] || return 0
    download "the file ($file_name)" "$file_url" "$target" || return
    chown "$user:$(id -g "$user")" "$target"
    say "the file is at $target"
}

# Its output is copied to the console by tail, so that what it leaves in the background keeps nobody waiting.
run_script() {
    script=$state/$instance.script
    [ ! -e "$script.done" ] || return 0
    mkdir -p "$state"
    download 'the script' "$script_url" "$script" || return
    chmod 700 "$script"
    : >"$script.done"
    : >>"$log"
    tail -n 0 -f "$log" >"$console" &
    HOME=/root "$script" </dev/null >>"$log" 2>&1
    status=$?
    sleep 2
    kill $!
    say "the script ended with $status; its output is in $log"
}

make_user && authorize
[ -z "$password" ] || set_password
[ -z "$file_url" ] || fetch_file
[ -z "$script_url" ] || run_script
