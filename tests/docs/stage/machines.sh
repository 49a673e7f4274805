# The gateway's machines are real from here on, and made of the image whose folder is $MICRO. One is enough.
MACHINES=1
sed -i -e 's,^driver = .*,driver = "qemu",' -e 's,^#accelerator = .*,accelerator = "tcg",' \
    -e 's,^#reserve_disk_mib = .*,reserve_disk_mib = 16,' \
    -e 's,^image = .*,image = "debian-12",' -e "s,^#disk = .*,disk = \"$MICRO/disk.qcow2\"," \
    -e "s,^#kernel = .*,kernel = \"$MICRO/vmlinuz\"," -e "s,^#initrd = .*,initrd = \"$MICRO/initrd\"," \
    -e "s,^#kernel_arguments = .*,kernel_arguments = \"$MICRO_ARGUMENTS\"," /etc/onefleet/config.toml
sed -i -z 's,\[\[images]]\nname = "ubuntu-24.04"\n[^\n]*\n[^\n]*\n,,' /etc/onefleet/config.toml
