#!/usr/bin/python3
"""A file system that forgets what was not synced, and one whose disk fails on command.

    lossyfs.py LIVE MOUNT [--order ordered|strict] [--seed N]

What a program writes under MOUNT lands in LIVE, which is what a running system sees. Beside it a model of
the platter is kept, which begins as what LIVE holds. The data of a file reaches the platter through an fsync
of that file alone. Names (create, link, rename, unlink, mkdir) reach it
    ordered: together, at the next fsync of anything, as a journal does;
    strict:  through an fsync of their folder alone, which is all that POSIX promises.
It prints `mounted` once it is. Write a command to MOUNT/.lossy:
    cut OUT      the power fails: writes to OUT what is durable, and every operation fails from then on
    torn OUT P   as cut, but each unsynced sector survives with probability P, and some unsynced names do
    full         nothing can grow any more
    fail-sync    every fsync fails, and what it was to make durable is forgotten
    heal         ends the two above
Needs Debian's fuse3 and python3-fusepy.
"""
import argparse
import errno
import os
import random
import stat

try:
    from fusepy import FUSE, FuseOSError, Operations
except ImportError:
    from fuse import FUSE, FuseOSError, Operations

CONTROL = "/.lossy"
SECTOR = 512
ATTRIBUTES = "st_atime st_ctime st_mtime st_gid st_uid st_mode st_nlink st_size st_ino".split()
ROOM = "f_bavail f_bfree f_blocks f_bsize f_files f_ffree f_frsize f_namemax".split()


def parent(path):
    return os.path.dirname(path).rstrip("/")


class Inode:
    def __init__(self, mode, data=b""):
        self.mode = mode
        self.data = bytearray(data)  # on the platter
        self.dirty = []  # (offset, length) of a write, or (None, size) of a truncation

    def is_folder(self):
        return stat.S_ISDIR(self.mode)

    def resize(self, size):
        del self.data[size:]
        self.data.extend(bytes(size - len(self.data)))

    def persist(self, change, live):
        offset, length = change
        if offset is None:
            return self.resize(length)
        written = os.pread(live, length, offset)
        if len(self.data) < offset + len(written):
            self.resize(offset + len(written))
        self.data[offset : offset + len(written)] = written


class Lossy(Operations):
    def __init__(self, live, order, seed):
        self.live, self.order, self.random = live, order, random.Random(seed)
        self.is_cut = self.is_full = self.fails_sync = False
        self.inodes = {}  # number in LIVE -> Inode
        self.names = {"": Inode(0o40700)}  # path -> Inode, on the platter
        self.journal = []  # lists of (path, Inode or None) that reach the platter as one
        for folder, folders, files in os.walk(live):
            for name in folders + files:
                self.load(os.path.join(folder, name))

    def load(self, path):
        mode, data = os.lstat(path).st_mode, b""
        if not os.path.isdir(path):
            with open(path, "rb") as file:
                data = file.read()
        inode = self.inodes.setdefault(os.lstat(path).st_ino, Inode(mode, data))
        self.names[path[len(self.live) :]] = inode

    # The platter.

    def note(self, *changes):
        self.journal.append(list(changes))

    def settle(self, folder):
        kept = []
        for entry in self.journal:
            if self.order == "ordered" or parent(entry[0][0]) == folder.rstrip("/"):
                self.apply(entry)
            else:
                kept.append(entry)
        self.journal = kept

    def apply(self, entry):
        for path, inode in entry:
            if inode is None:
                self.names.pop(path, None)
            else:
                self.names[path] = inode

    def sync(self, live):
        inode = self.inodes[os.fstat(live).st_ino]
        for change in inode.dirty:
            inode.persist(change, live)
        inode.dirty = []
        inode.resize(os.fstat(live).st_size)

    def tear(self, probability):
        survives = lambda: self.random.random() < probability
        for folder, _, files in os.walk(self.live):
            for path in (os.path.join(folder, name) for name in files):
                inode = self.inodes[os.lstat(path).st_ino]
                live = os.open(path, os.O_RDONLY)
                for offset, length in inode.dirty:
                    if offset is None:
                        if survives():
                            inode.persist((None, length), live)
                        continue
                    for sector in range(offset - offset % SECTOR, offset + length, SECTOR):
                        if survives():
                            inode.persist((sector, SECTOR), live)
                os.close(live)
        if self.order == "ordered":  # a journal survives up to somewhere
            survivors = self.journal[: self.random.randint(0, len(self.journal))]
        else:
            survivors = [entry for entry in self.journal if survives()]
        for entry in survivors:
            self.apply(entry)

    def cut(self, out):
        os.makedirs(out)
        for path, inode in sorted(self.names.items()):
            if path == "" or not os.path.isdir(out + parent(path)):
                continue  # what is in a folder that was lost is lost
            if inode.is_folder():
                os.mkdir(out + path)
            else:
                with open(out + path, "wb") as file:
                    file.write(inode.data)
            os.chmod(out + path, inode.mode & 0o7777)
        self.is_cut = True

    def command(self, words):
        if words[0] == "torn":
            self.tear(float(words[2]))
        if words[0] in ("cut", "torn"):
            self.cut(words[1])
        if words[0] in ("full", "heal"):
            self.is_full = words[0] == "full"
        if words[0] in ("fail-sync", "heal"):
            self.fails_sync = words[0] == "fail-sync"

    # The file system.

    def init(self, path):
        print("mounted", flush=True)

    def path(self, path):
        self.check_power()
        return self.live + path

    def check_power(self):
        if self.is_cut:
            raise FuseOSError(errno.EIO)

    def check_room(self):
        if self.is_full:
            raise FuseOSError(errno.ENOSPC)

    def check_sync(self):
        self.check_power()
        if self.fails_sync:
            raise FuseOSError(errno.EIO)

    def inode(self, path):
        return self.inodes[os.lstat(self.live + path).st_ino]

    def add(self, path):
        status = os.lstat(self.live + path)
        self.inodes[status.st_ino] = Inode(status.st_mode)
        self.note((path, self.inodes[status.st_ino]))

    def access(self, path, mode):
        if path != CONTROL and not os.access(self.path(path), mode):
            raise FuseOSError(errno.EACCES)

    def getattr(self, path, handle=None):
        if path == CONTROL:
            return dict(st_mode=0o100600, st_nlink=1, st_size=0)
        status = os.lstat(self.path(path))
        return {name: getattr(status, name) for name in ATTRIBUTES}

    def statfs(self, path):
        status = os.statvfs(self.path(path))
        return {name: getattr(status, name) for name in ROOM}

    def readdir(self, path, handle):
        return [".", "..", *os.listdir(self.path(path))]

    def mkdir(self, path, mode):
        self.check_room()
        os.mkdir(self.path(path), mode)
        self.add(path)

    def rmdir(self, path):
        os.rmdir(self.path(path))
        self.note((path, None))

    def unlink(self, path):
        os.unlink(self.path(path))
        self.note((path, None))

    def rename(self, old, new):
        if os.path.isdir(self.path(old)):
            raise FuseOSError(errno.EPERM)  # not modelled
        inode = self.inode(old)
        os.rename(self.path(old), self.path(new))
        if self.order == "strict" and parent(old) != parent(new):
            self.note((new, inode))
            self.note((old, None))
        else:
            self.note((old, None), (new, inode))

    def link(self, new, old):
        self.check_room()
        os.link(self.path(old), self.path(new))
        self.note((new, self.inode(new)))

    def chmod(self, path, mode):
        os.chmod(self.path(path), mode)
        self.inode(path).mode = os.lstat(self.live + path).st_mode

    def chown(self, path, user, group):
        os.chown(self.path(path), user, group)

    def utimens(self, path, times=None):
        os.utime(self.path(path), times)

    def create(self, path, mode, info=None):
        self.check_room()
        live = os.open(self.path(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        self.add(path)
        return live

    def open(self, path, flags):
        return 0 if path == CONTROL else os.open(self.path(path), os.O_RDWR)

    def read(self, path, size, offset, live):
        self.check_power()
        return os.pread(live, size, offset)

    def write(self, path, data, offset, live):
        if path == CONTROL:
            self.command(data.decode().split())
            return len(data)
        self.check_power()
        if offset + len(data) > os.fstat(live).st_size:
            self.check_room()
        self.inodes[os.fstat(live).st_ino].dirty.append((offset, len(data)))
        return os.pwrite(live, data, offset)

    def truncate(self, path, length, handle=None):
        if path == CONTROL:
            return
        if length > os.lstat(self.path(path)).st_size:
            self.check_room()
        os.truncate(self.path(path), length)
        self.inode(path).dirty.append((None, length))

    def flush(self, path, handle):
        return 0

    def release(self, path, live):
        if path != CONTROL:
            os.close(live)
        return 0

    def fsync(self, path, datasync, live):
        if self.fails_sync:
            self.inodes[os.fstat(live).st_ino].dirty = []
        self.check_sync()
        self.sync(live)
        if self.order == "ordered":
            self.settle("")
        return 0

    def fsyncdir(self, path, datasync, handle):
        self.check_sync()
        self.settle(path)
        return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("live")
    parser.add_argument("mount")
    parser.add_argument("--order", default="ordered", choices=["ordered", "strict"])
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    lossy = Lossy(os.path.realpath(given.live), given.order, given.seed)
    FUSE(lossy, given.mount, foreground=True, nothreads=True)
