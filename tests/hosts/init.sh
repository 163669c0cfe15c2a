#!/bin/sh
# First process of a simulated machine, in its own mount, process and host-name namespaces: prepares what is this machine's
# own, then waits until its input ends. When it ends, the kernel ends all processes of the machine, and its mounts are gone.
set -eu
name=$1
folder=$2

hostname "$name"
# As their source the mounts name the folder, so that every process of the machine can be told by its mounts.
mount -t tmpfs -o mode=755 "$folder" /run
mount -t tmpfs -o mode=755 "$folder" /var/log
mkdir -p /run/sshd /run/etc/upper /run/etc/work

# Accounts, sudo's rules and what dockerd writes to /etc stay in this machine.
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work overlay /etc
echo "127.0.0.1 localhost $name" >/etc/hosts
sed -i -e '/^root:/d' /etc/passwd /etc/shadow
echo "root:x:0:0:root:$folder/home/root:/bin/bash" >>/etc/passwd
echo 'root:*:20000::::::' >>/etc/shadow
groupadd --force docker
id=61000
for user in with-docker with-sudo without-docker; do
    id=$((id + 1))
    groupadd --gid "$id" "$user"
    useradd --no-log-init --uid "$id" --gid "$id" --home-dir "$folder/home/$user" --no-create-home --shell /bin/bash "$user"
    usermod --password '*' "$user"
    chown "$user:$user" "$folder/home/$user"
done
usermod --append --groups docker with-docker
cat >/etc/sudoers <<END
Defaults secure_path="$folder/bin:/usr/sbin:/usr/bin:/sbin:/bin"
with-sudo ALL=(root) NOPASSWD: ALL
END

echo ready
# With SIGCHLD ignored the kernel itself takes away what ended: nothing becomes a zombie of this process.
exec env --ignore-signal=CHLD cat >/dev/null
