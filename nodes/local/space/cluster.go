//go:build linux

package space

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// run makes the cluster, and then hands out sockets until the channel ends.
func (c Config) run(channelFile *os.File) error {
	if err := keepForMyself(); err != nil {
		return err
	}
	conn, err := net.FileConn(channelFile)
	if err != nil {
		return fmt.Errorf("channel: %w", err)
	}
	channel, ok := conn.(*net.UnixConn)
	if !ok {
		return errors.New("channel: not a unix socket")
	}
	if err := channelFile.Close(); err != nil {
		return err
	}
	// What is mounted here must not show up outside; without a user namespace it would.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount namespace: %w", err)
	}
	bridge, err := c.makeBridge()
	if err != nil {
		return err
	}
	const first = channelFD + 1
	for fd := first; fd < first+len(c.Pods)*podFDs; fd++ {
		unix.CloseOnExec(fd) // a pod that had the next one's streams too would keep them open when that ends
	}
	for i, p := range c.Pods {
		if err := p.make(bridge, first+i*podFDs); err != nil {
			return fmt.Errorf("pod of %s: %w", p.Name, err)
		}
	}
	return handOut(channel)
}

// keepForMyself has no descriptor inherited further, unless it is meant to be: neither do pods get
// the streams of others, nor nodes what the harness, by whoever has started it, has open.
func keepForMyself() error {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("what this process has inherited: %w", err)
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		if fd > stderrFD {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

func (c Config) makeBridge() (netlink.Link, error) {
	if err := up("lo"); err != nil {
		return nil, err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = bridgeName
	// A bridge without an address of its own takes its ports', and changes it with them.
	attrs.HardwareAddr = net.HardwareAddr{0x02, 0, 0, 0, 0, 1}
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
		return nil, lacking(err, "bridge devices", "CONFIG_BRIDGE", "bridge")
	}
	if err := setAddr(bridgeName, c.Gateway.String()); err != nil {
		return nil, err
	}
	return netlink.LinkByName(bridgeName)
}

// make starts a pod's PID 1, and ties it to the bridge.
func (p Pod) make(bridge netlink.Link, firstFD int) error {
	args, err := p.command()
	if err != nil {
		return err
	}
	cmd := exec.Command(p.Injector, args...)
	cmd.Stderr = os.Stderr
	for fd := firstFD; fd < firstFD+podFDs; fd++ {
		cmd.ExtraFiles = append(cmd.ExtraFiles, os.NewFile(uintptr(fd), "inherited"))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS,
	}
	connected, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("namespaces: %w", err)
	}
	go cmd.Wait() // its descriptors tell the harness that it has ended, and its stderr why
	for _, inherited := range cmd.ExtraFiles {
		if err := inherited.Close(); err != nil { // the pod's alone from now on
			return err
		}
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = fmt.Sprintf("pod%d", firstFD)
	attrs.MasterIndex = bridge.Attrs().Index
	attrs.Flags = net.FlagUp
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: deviceName, PeerNamespace: netlink.NsPid(cmd.Process.Pid)}
	if err := netlink.LinkAdd(veth); err != nil {
		return lacking(err, "veth devices", "CONFIG_VETH", "veth")
	}
	_, err = io.WriteString(connected, "c")
	return err
}

// setAddr gives a device an address, and switches it on.
func setAddr(device, addr string) error {
	link, err := netlink.LinkByName(device)
	if err != nil {
		return fmt.Errorf("device %s: %w", device, err)
	}
	parsed, err := netlink.ParseAddr(addr)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(link, parsed); err != nil {
		return fmt.Errorf("address of %s: %w", device, err)
	}
	return up(device)
}

func up(device string) error {
	link, err := netlink.LinkByName(device)
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("device %s: %w", device, err)
	}
	return nil
}

// lacking says what a kernel needs that does not know a kind of device.
func lacking(err error, what, option, module string) error {
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("the kernel has no %s (%s); as root, try `modprobe %s`: %w", what, option, module, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
