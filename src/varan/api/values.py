"""The values that the machine protocol's commands and events carry.

Generated from a schema by `varan qapi generate`: change the schema, not this file.
"""

from __future__ import annotations

import enum
from typing import Annotated, Any, ClassVar, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType, field

Int16: TypeAlias = Annotated[int, Meta(ge=-32768, le=32767)]
Int32: TypeAlias = Annotated[int, Meta(ge=-2147483648, le=2147483647)]
Int64: TypeAlias = Annotated[int, Meta(ge=-9223372036854775808, le=9223372036854775807)]
Int8: TypeAlias = Annotated[int, Meta(ge=-128, le=127)]
UInt16: TypeAlias = Annotated[int, Meta(ge=0, le=65535)]
UInt32: TypeAlias = Annotated[int, Meta(ge=0, le=4294967295)]
UInt64: TypeAlias = Annotated[int, Meta(ge=0)]
UInt8: TypeAlias = Annotated[int, Meta(ge=0, le=255)]


class Input(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """A value that clients send: members it does not have are errors."""


class Output(Struct, omit_defaults=True):
    """A value that only servers send: clients overlook what a newer server adds."""


class QType(enum.Enum):
    NONE = "none"
    QNULL = "qnull"
    QNUM = "qnum"
    QSTRING = "qstring"
    QDICT = "qdict"
    QLIST = "qlist"
    QBOOL = "qbool"


class QMPCapability(enum.Enum):
    """Optional abilities of a control monitor, offered in its greeting."""

    OOB = "oob"
    """commands may be sent with "exec-oob" and then overtake those that wait in the queue; requests carry an
    id so that replies can be told apart
    """


class SchemaMetaType(enum.Enum):
    """The kinds of entity a schema consists of."""

    BUILTIN = "builtin"
    """a type that every schema has"""
    ENUM = "enum"
    """a choice among fixed strings"""
    ARRAY = "array"
    """a list whose elements have one type"""
    OBJECT = "object"
    """a structure or union"""
    ALTERNATE = "alternate"
    """a value of one of several JSON kinds"""
    COMMAND = "command"
    """something a client may execute"""
    EVENT = "event"
    """something the machine tells unasked"""


class JSONType(enum.Enum):
    """What a value looks like in JSON."""

    STRING = "string"
    """a string"""
    NUMBER = "number"
    """a number, with or without a fraction"""
    INT = "int"
    """a number without a fraction"""
    BOOLEAN = "boolean"
    """true or false"""
    NULL = "null"
    """null"""
    OBJECT = "object"
    """an object"""
    ARRAY = "array"
    """an array"""
    VALUE = "value"
    """anything at all"""


class RunState(enum.Enum):
    """What a machine as a whole is doing."""

    DEBUG = "debug"
    """a debugger has stopped it"""
    INMIGRATE = "inmigrate"
    """it waits for another machine's state to arrive"""
    INTERNAL_ERROR = "internal-error"
    """the accelerator could not go on; only a reset helps"""
    IO_ERROR = "io-error"
    """a disk access failed and its policy is to stop the machine"""
    PAUSED = "paused"
    """somebody stopped it"""
    POSTMIGRATE = "postmigrate"
    """it has been migrated away and could be resumed here"""
    PRELAUNCH = "prelaunch"
    """it was made with -S, or was reset while stopped, and the guest has not executed an instruction since"""
    FINISH_MIGRATE = "finish-migrate"
    """it stands still while the last of its state is sent"""
    RESTORE_VM = "restore-vm"
    """it stands still while a snapshot is loaded"""
    RUNNING = "running"
    """the guest executes"""
    SAVE_VM = "save-vm"
    """it stands still while a snapshot is saved"""
    SHUTDOWN = "shutdown"
    """the guest has shut down and the shutdown action is to pause"""
    SUSPENDED = "suspended"
    """the guest sleeps (ACPI S3) until something wakes it (since 1.1)"""
    WATCHDOG = "watchdog"
    """a watchdog expired and its action is to pause"""
    GUEST_PANICKED = "guest-panicked"
    """the guest reported that it crashed (since 1.5)"""
    COLO = "colo"
    """replication coordinates it with its twin (since 2.8)"""


class RebootAction(enum.Enum):
    """What a guest's reset leads to."""

    RESET = "reset"
    """a reset"""
    SHUTDOWN = "shutdown"
    """the end of the machine"""


class ShutdownAction(enum.Enum):
    """What a guest's shutdown leads to."""

    POWEROFF = "poweroff"
    """the end of the machine"""
    PAUSE = "pause"
    """the machine stays, in run state "shutdown" """


class PanicAction(enum.Enum):
    """What a crash that the guest reports leads to."""

    PAUSE = "pause"
    """the machine stays, in run state "guest-panicked" """
    SHUTDOWN = "shutdown"
    """what the guest's own shutdown leads to"""
    EXIT_FAILURE = "exit-failure"
    """the end of the machine, and an exit status that is not zero (since 7.1)"""
    NONE = "none"
    """nothing; the guest goes on"""


class WatchdogAction(enum.Enum):
    """What a watchdog that the guest has not fed in time leads to."""

    RESET = "reset"
    """a reset"""
    SHUTDOWN = "shutdown"
    """a press of the power button"""
    POWEROFF = "poweroff"
    """what the guest's own shutdown leads to"""
    PAUSE = "pause"
    """the machine stays, in run state "watchdog" """
    DEBUG = "debug"
    """a line in the log"""
    NONE = "none"
    """nothing but the event"""
    INJECT_NMI = "inject-nmi"
    """a non-maskable interrupt on every CPU (since 2.4)"""


class GuestPanicAction(enum.Enum):
    """What is done about a guest that crashed."""

    PAUSE = "pause"
    """the machine stays, in run state "guest-panicked" """
    POWEROFF = "poweroff"
    """the machine ends (since 2.8)"""
    RUN = "run"
    """nothing (since 5.0)"""


class ShutdownCause(enum.Enum):
    """Why a machine was reset or shut down."""

    NONE = "none"
    """no reason is known"""
    HOST_ERROR = "host-error"
    """something failed on the host"""
    HOST_QMP_QUIT = "host-qmp-quit"
    """the quit command"""
    HOST_QMP_SYSTEM_RESET = "host-qmp-system-reset"
    """the system_reset command"""
    HOST_SIGNAL = "host-signal"
    """a signal to the process, for instance SIGTERM"""
    HOST_UI = "host-ui"
    """the user of a display or terminal"""
    GUEST_SHUTDOWN = "guest-shutdown"
    """the guest powered the machine off"""
    GUEST_RESET = "guest-reset"
    """the guest reset the machine, or its CPU shut down by a triple fault"""
    GUEST_PANIC = "guest-panic"
    """the guest reported that it crashed"""
    SUBSYSTEM_RESET = "subsystem-reset"
    """a part of the guest was reset, which most guests have none of"""


class SysEmuTarget(enum.Enum):
    """Architectures a guest's CPU may have. A Varan is "x86_64"."""

    AARCH64 = "aarch64"
    """64-bit Arm (since 3.0)"""
    ALPHA = "alpha"
    """Alpha (since 3.0)"""
    ARM = "arm"
    """32-bit Arm (since 3.0)"""
    AVR = "avr"
    """AVR (since 5.1)"""
    CRIS = "cris"
    """ETRAX CRIS (since 3.0)"""
    HPPA = "hppa"
    """PA-RISC (since 3.0)"""
    I386 = "i386"
    """32-bit x86 (since 3.0)"""
    LOONGARCH64 = "loongarch64"
    """64-bit LoongArch (since 7.1)"""
    M68K = "m68k"
    """Motorola 68000 family (since 3.0)"""
    MICROBLAZE = "microblaze"
    """MicroBlaze, big-endian (since 3.0)"""
    MICROBLAZEEL = "microblazeel"
    """MicroBlaze, little-endian (since 3.0)"""
    MIPS = "mips"
    """32-bit MIPS, big-endian (since 3.0)"""
    MIPS64 = "mips64"
    """64-bit MIPS, big-endian (since 3.0)"""
    MIPS64EL = "mips64el"
    """64-bit MIPS, little-endian (since 3.0)"""
    MIPSEL = "mipsel"
    """32-bit MIPS, little-endian (since 3.0)"""
    NIOS2 = "nios2"
    """Nios II (since 3.0)"""
    OR1K = "or1k"
    """OpenRISC 1000 (since 3.0)"""
    PPC = "ppc"
    """32-bit Power (since 3.0)"""
    PPC64 = "ppc64"
    """64-bit Power (since 3.0)"""
    RISCV32 = "riscv32"
    """32-bit RISC-V (since 3.0)"""
    RISCV64 = "riscv64"
    """64-bit RISC-V (since 3.0)"""
    RX = "rx"
    """Renesas RX (since 5.0)"""
    S390X = "s390x"
    """z/Architecture (since 3.0)"""
    SH4 = "sh4"
    """SuperH, little-endian (since 3.0)"""
    SH4EB = "sh4eb"
    """SuperH, big-endian (since 3.0)"""
    SPARC = "sparc"
    """32-bit SPARC (since 3.0)"""
    SPARC64 = "sparc64"
    """64-bit SPARC (since 3.0)"""
    TRICORE = "tricore"
    """TriCore (since 3.0)"""
    X86_64 = "x86_64"
    """64-bit x86 (since 3.0)"""
    XTENSA = "xtensa"
    """Xtensa, little-endian (since 3.0)"""
    XTENSAEB = "xtensaeb"
    """Xtensa, big-endian (since 3.0)"""


class CpuS390State(enum.Enum):
    """What a vCPU of an s390x guest is doing."""

    UNINITIALIZED = "uninitialized"
    """it has not been set up"""
    STOPPED = "stopped"
    """it has been stopped"""
    CHECK_STOP = "check-stop"
    """it has met a machine check"""
    OPERATING = "operating"
    """it executes or waits"""
    LOAD = "load"
    """a program is being loaded through it"""


class HostMemPolicy(enum.Enum):
    """How memory comes from the host's NUMA nodes."""

    DEFAULT = "default"
    """as the host likes"""
    PREFERRED = "preferred"
    """from the nodes named while they have some"""
    BIND = "bind"
    """from the nodes named and no others"""
    INTERLEAVE = "interleave"
    """from the nodes named in turn"""


class CpuModelExpansionType(enum.Enum):
    """How a CPU model is spelled out."""

    STATIC = "static"
    """with everything that tells it from other models"""
    FULL = "full"
    """with everything there is"""


class DataFormat(enum.Enum):
    """How bytes are put into a string."""

    UTF8 = "utf8"
    """the bytes are the text's UTF-8 encoding"""
    BASE64 = "base64"
    """the bytes are encoded by RFC 4648's base64"""


class QCryptoSecretFormat(enum.Enum):
    """How a secret is written down."""

    RAW = "raw"
    """as its bytes"""
    BASE64 = "base64"
    """in Base64"""


class ObjectType(enum.Enum):
    """What users can make."""

    FILTER_DUMP = "filter-dump"
    """a capture of a network back end's frames"""
    IOTHREAD = "iothread"
    """a thread that serves disks (since 2.0)"""
    MEMORY_BACKEND_FILE = "memory-backend-file"
    """host memory of a file"""
    MEMORY_BACKEND_MEMFD = "memory-backend-memfd"
    """host memory of a file that is in memory"""
    MEMORY_BACKEND_RAM = "memory-backend-ram"
    """host memory"""
    RNG_BUILTIN = "rng-builtin"
    """random bytes from the host's kernel (since 4.2)"""
    RNG_RANDOM = "rng-random"
    """random bytes from a file of the host"""
    SECRET = "secret"
    """a password or key"""
    THROTTLE_GROUP = "throttle-group"
    """limits that several disks share"""


class CommandLineParameterType(enum.Enum):
    """What the value of an option's parameter looks like."""

    STRING = "string"
    """any text"""
    BOOLEAN = "boolean"
    """"on" or "off" """
    NUMBER = "number"
    """a number"""
    SIZE = "size"
    """a number of bytes, perhaps with a suffix"""


class NetdevAddressType(enum.Enum):
    """Kinds of socket address."""

    INET = "inet"
    """host and port"""
    UNIX = "unix"
    """path"""
    FD = "fd"
    """a socket that is open already"""


class NetClientDriver(enum.Enum):
    """Kinds of network back end."""

    USER = "user"
    """a network of the guest's own, behind the host's sockets"""
    TAP = "tap"
    """an Ethernet interface of the host's"""
    SOCKET = "socket"
    """frames over a socket, the older spelling"""
    STREAM = "stream"
    """frames over a stream socket (since 7.2)"""
    DGRAM = "dgram"
    """frames over a datagram socket (since 7.2)"""
    HUBPORT = "hubport"
    """a place at a hub"""


class RxState(enum.Enum):
    """Which frames of one kind an adapter lets through."""

    NORMAL = "normal"
    """those on the adapter's list"""
    NONE = "none"
    """none of them"""
    ALL = "all"
    """all of them"""


class JobType(enum.Enum):
    """What a job does."""

    COMMIT = "commit"
    """move what an image holds into one below it"""
    STREAM = "stream"
    """copy what images below hold into the one above them"""
    MIRROR = "mirror"
    """keep a second image equal to a disk"""
    BACKUP = "backup"
    """copy a disk as it is at one moment"""
    CREATE = "create"
    """make an image (since 3.0)"""
    AMEND = "amend"
    """change an image's options (since 5.1)"""
    SNAPSHOT_LOAD = "snapshot-load"
    """go back to a saved state of the machine (since 6.0)"""
    SNAPSHOT_SAVE = "snapshot-save"
    """save the machine's state (since 6.0)"""
    SNAPSHOT_DELETE = "snapshot-delete"
    """forget a saved state (since 6.0)"""


class JobStatus(enum.Enum):
    """How far a job has come."""

    UNDEFINED = "undefined"
    """it does not exist yet"""
    CREATED = "created"
    """it exists and has not begun"""
    RUNNING = "running"
    """it is at work"""
    PAUSED = "paused"
    """it was at work and somebody stopped it"""
    READY = "ready"
    """it keeps up with what it copies and can be completed at any time"""
    STANDBY = "standby"
    """it was ready and somebody stopped it"""
    WAITING = "waiting"
    """it is done and waits for the other jobs of its transaction"""
    PENDING = "pending"
    """everything is done but the last step, which waits for finalization"""
    ABORTING = "aborting"
    """it failed or was cancelled, and undoes what it began"""
    CONCLUDED = "concluded"
    """it is over and waits to be dismissed"""
    NULL = "null"
    """it is gone"""


class JobVerb(enum.Enum):
    """What can be asked of a job."""

    CANCEL = "cancel"
    """end it"""
    PAUSE = "pause"
    """stop it for a while"""
    RESUME = "resume"
    """let it go on"""
    SET_SPEED = "set-speed"
    """change its speed limit"""
    COMPLETE = "complete"
    """end it well, where it would go on for ever"""
    DISMISS = "dismiss"
    """forget it"""
    FINALIZE = "finalize"
    """take the last step"""
    CHANGE = "change"
    """change what it does on the way (since 8.2)"""


class QKeyCode(enum.Enum):
    """Keys of a keyboard, by where they are on a US one."""

    UNMAPPED = "unmapped"
    """a key that none of these is (since 2.0)"""
    SHIFT = "shift"
    """left Shift"""
    SHIFT_R = "shift_r"
    """right Shift"""
    ALT = "alt"
    """left Alt"""
    ALT_R = "alt_r"
    """right Alt"""
    CTRL = "ctrl"
    """left Control"""
    CTRL_R = "ctrl_r"
    """right Control"""
    MENU = "menu"
    """Menu"""
    ESC = "esc"
    """Escape"""
    V1 = "1"
    """1"""
    V2 = "2"
    """2"""
    V3 = "3"
    """3"""
    V4 = "4"
    """4"""
    V5 = "5"
    """5"""
    V6 = "6"
    """6"""
    V7 = "7"
    """7"""
    V8 = "8"
    """8"""
    V9 = "9"
    """9"""
    V0 = "0"
    """0"""
    MINUS = "minus"
    """minus"""
    EQUAL = "equal"
    """equals sign"""
    BACKSPACE = "backspace"
    """Backspace"""
    TAB = "tab"
    """Tab"""
    Q = "q"
    """Q"""
    W = "w"
    """W"""
    E = "e"
    """E"""
    R = "r"
    """R"""
    T = "t"
    """T"""
    Y = "y"
    """Y"""
    U = "u"
    """U"""
    I = "i"
    """I"""
    O = "o"
    """O"""
    P = "p"
    """P"""
    BRACKET_LEFT = "bracket_left"
    """left square bracket"""
    BRACKET_RIGHT = "bracket_right"
    """right square bracket"""
    RET = "ret"
    """Return"""
    A = "a"
    """A"""
    S = "s"
    """S"""
    D = "d"
    """D"""
    F = "f"
    """F"""
    G = "g"
    """G"""
    H = "h"
    """H"""
    J = "j"
    """J"""
    K = "k"
    """K"""
    L = "l"
    """L"""
    SEMICOLON = "semicolon"
    """semicolon"""
    APOSTROPHE = "apostrophe"
    """apostrophe"""
    GRAVE_ACCENT = "grave_accent"
    """grave accent"""
    BACKSLASH = "backslash"
    """backslash"""
    Z = "z"
    """Z"""
    X = "x"
    """X"""
    C = "c"
    """C"""
    V = "v"
    """V"""
    B = "b"
    """B"""
    N = "n"
    """N"""
    M = "m"
    """M"""
    COMMA = "comma"
    """comma"""
    DOT = "dot"
    """full stop"""
    SLASH = "slash"
    """slash"""
    ASTERISK = "asterisk"
    """asterisk, on the number pad"""
    SPC = "spc"
    """the space bar"""
    CAPS_LOCK = "caps_lock"
    """Caps Lock"""
    F1 = "f1"
    """function key 1"""
    F2 = "f2"
    """function key 2"""
    F3 = "f3"
    """function key 3"""
    F4 = "f4"
    """function key 4"""
    F5 = "f5"
    """function key 5"""
    F6 = "f6"
    """function key 6"""
    F7 = "f7"
    """function key 7"""
    F8 = "f8"
    """function key 8"""
    F9 = "f9"
    """function key 9"""
    F10 = "f10"
    """function key 10"""
    NUM_LOCK = "num_lock"
    """Num Lock"""
    SCROLL_LOCK = "scroll_lock"
    """Scroll Lock"""
    KP_DIVIDE = "kp_divide"
    """slash on the number pad"""
    KP_MULTIPLY = "kp_multiply"
    """asterisk on the number pad"""
    KP_SUBTRACT = "kp_subtract"
    """minus on the number pad"""
    KP_ADD = "kp_add"
    """plus on the number pad"""
    KP_ENTER = "kp_enter"
    """Enter on the number pad"""
    KP_DECIMAL = "kp_decimal"
    """decimal point on the number pad"""
    SYSRQ = "sysrq"
    """System Request"""
    KP_0 = "kp_0"
    """0 on the number pad"""
    KP_1 = "kp_1"
    """1 on the number pad"""
    KP_2 = "kp_2"
    """2 on the number pad"""
    KP_3 = "kp_3"
    """3 on the number pad"""
    KP_4 = "kp_4"
    """4 on the number pad"""
    KP_5 = "kp_5"
    """5 on the number pad"""
    KP_6 = "kp_6"
    """6 on the number pad"""
    KP_7 = "kp_7"
    """7 on the number pad"""
    KP_8 = "kp_8"
    """8 on the number pad"""
    KP_9 = "kp_9"
    """9 on the number pad"""
    LESS = "less"
    """the key beside the left Shift of keyboards with one more"""
    F11 = "f11"
    """function key 11"""
    F12 = "f12"
    """function key 12"""
    PRINT = "print"
    """Print Screen"""
    HOME = "home"
    """Home"""
    PGUP = "pgup"
    """Page Up"""
    PGDN = "pgdn"
    """Page Down"""
    END = "end"
    """End"""
    LEFT = "left"
    """cursor left"""
    UP = "up"
    """cursor up"""
    DOWN = "down"
    """cursor down"""
    RIGHT = "right"
    """cursor right"""
    INSERT = "insert"
    """Insert"""
    DELETE = "delete"
    """Delete"""
    STOP = "stop"
    """Stop"""
    AGAIN = "again"
    """Again"""
    PROPS = "props"
    """Properties"""
    UNDO = "undo"
    """Undo"""
    FRONT = "front"
    """Front"""
    COPY = "copy"
    """Copy"""
    OPEN = "open"
    """Open"""
    PASTE = "paste"
    """Paste"""
    FIND = "find"
    """Find"""
    CUT = "cut"
    """Cut"""
    LF = "lf"
    """Line Feed"""
    HELP = "help"
    """Help"""
    META_L = "meta_l"
    """left Windows key"""
    META_R = "meta_r"
    """right Windows key"""
    COMPOSE = "compose"
    """Compose"""
    PAUSE = "pause"
    """Pause (since 2.0)"""
    RO = "ro"
    """Ro, on Japanese keyboards (since 2.4)"""
    HIRAGANA = "hiragana"
    """Hiragana (since 2.9)"""
    HENKAN = "henkan"
    """Henkan (since 2.9)"""
    YEN = "yen"
    """Yen (since 2.9)"""
    MUHENKAN = "muhenkan"
    """Muhenkan (since 2.12)"""
    KATAKANAHIRAGANA = "katakanahiragana"
    """Katakana/Hiragana (since 2.12)"""
    KP_COMMA = "kp_comma"
    """comma on the number pad (since 2.4)"""
    KP_EQUALS = "kp_equals"
    """equals sign on the number pad (since 2.6)"""
    POWER = "power"
    """Power (since 2.6)"""
    SLEEP = "sleep"
    """Sleep (since 2.10)"""
    WAKE = "wake"
    """Wake (since 2.10)"""
    AUDIONEXT = "audionext"
    """next track (since 2.10)"""
    AUDIOPREV = "audioprev"
    """previous track (since 2.10)"""
    AUDIOSTOP = "audiostop"
    """stop playing (since 2.10)"""
    AUDIOPLAY = "audioplay"
    """play or pause (since 2.10)"""
    AUDIOMUTE = "audiomute"
    """mute (since 2.10)"""
    VOLUMEUP = "volumeup"
    """louder (since 2.10)"""
    VOLUMEDOWN = "volumedown"
    """quieter (since 2.10)"""
    MEDIASELECT = "mediaselect"
    """media player (since 2.10)"""
    MAIL = "mail"
    """mail (since 2.10)"""
    CALCULATOR = "calculator"
    """calculator (since 2.10)"""
    COMPUTER = "computer"
    """file manager (since 2.10)"""
    AC_HOME = "ac_home"
    """home page (since 2.10)"""
    AC_BACK = "ac_back"
    """page back (since 2.10)"""
    AC_FORWARD = "ac_forward"
    """page forward (since 2.10)"""
    AC_REFRESH = "ac_refresh"
    """reload (since 2.10)"""
    AC_BOOKMARKS = "ac_bookmarks"
    """bookmarks (since 2.10)"""
    LANG1 = "lang1"
    """first language key (Hangul) (since 6.1)"""
    LANG2 = "lang2"
    """second language key (Hanja) (since 6.1)"""


class KeyValueKind(enum.Enum):
    """How a key is named."""

    NUMBER = "number"
    """by its number"""
    QCODE = "qcode"
    """by its name"""


class InputButton(enum.Enum):
    """Buttons of a mouse or tablet. Turning a wheel counts as pressing one and letting go."""

    LEFT = "left"
    """left"""
    MIDDLE = "middle"
    """middle"""
    RIGHT = "right"
    """right"""
    WHEEL_UP = "wheel-up"
    """the wheel, away from the user"""
    WHEEL_DOWN = "wheel-down"
    """the wheel, towards the user"""
    SIDE = "side"
    """at the side of the mouse (since 2.9)"""
    EXTRA = "extra"
    """one more (since 2.9)"""
    WHEEL_LEFT = "wheel-left"
    """the wheel, to the left (since 7.0)"""
    WHEEL_RIGHT = "wheel-right"
    """the wheel, to the right (since 7.0)"""


class InputAxis(enum.Enum):
    """Directions."""

    X = "x"
    """to the right"""
    Y = "y"
    """downwards"""


class InputEventKind(enum.Enum):
    """What happened."""

    KEY = "key"
    """a key"""
    BTN = "btn"
    """a button"""
    REL = "rel"
    """a mouse was moved"""
    ABS = "abs"
    """a tablet's pen was moved"""


class BlockdevOnError(enum.Enum):
    """What follows from an error of a disk or a job."""

    REPORT = "report"
    """the request, or the job, fails"""
    IGNORE = "ignore"
    """go on; mirror, backup and commit try again later, a stream leaves the part out and fails at its end"""
    ENOSPC = "enospc"
    """as `stop` when there is no space left, as `report` otherwise"""
    STOP = "stop"
    """the machine, or the job, stops until somebody lets it go on, and tries again then"""
    AUTO = "auto"
    """as `enospc` for writes, as `report` for reads (since 2.7)"""


class BlockErrorAction(enum.Enum):
    """What was done about an error."""

    IGNORE = "ignore"
    """nothing"""
    REPORT = "report"
    """the request or the job failed"""
    STOP = "stop"
    """the machine or the job stopped"""


class IoOperationType(enum.Enum):
    """The direction of a request."""

    READ = "read"
    """out of an image"""
    WRITE = "write"
    """into an image"""


class BlockDeviceIoStatus(enum.Enum):
    """Whether a disk or a job stands still for an error."""

    OK = "ok"
    """it does not"""
    FAILED = "failed"
    """it does"""
    NOSPACE = "nospace"
    """it does, for want of space"""


class MirrorSyncMode(enum.Enum):
    """Which part of a disk is copied."""

    TOP = "top"
    """what its topmost image holds"""
    FULL = "full"
    """all of it"""
    NONE = "none"
    """only what is written from now on"""
    INCREMENTAL = "incremental"
    """what a dirty bitmap names, which is cleared by a success (since 2.4)"""
    BITMAP = "bitmap"
    """what a dirty bitmap names (since 4.2)"""


class BitmapSyncMode(enum.Enum):
    """What becomes of a dirty bitmap that a backup uses."""

    ON_SUCCESS = "on-success"
    """what was copied is clean when the backup succeeds; nothing changes otherwise"""
    NEVER = "never"
    """nothing changes"""
    ALWAYS = "always"
    """what was copied is clean, also when the backup does not succeed"""


class MirrorCopyMode(enum.Enum):
    """When writes of a guest reach the mirror."""

    BACKGROUND = "background"
    """some time later"""
    WRITE_BLOCKING = "write-blocking"
    """before the write completes"""


class NewImageMode(enum.Enum):
    """What to do about the file that an operation writes."""

    EXISTING = "existing"
    """it is there and is used as it is"""
    ABSOLUTE_PATHS = "absolute-paths"
    """a new image is made"""


class BlockdevChangeReadOnlyMode(enum.Enum):
    """Whether a drive's next medium can be written."""

    RETAIN = "retain"
    """if the one before could"""
    READ_ONLY = "read-only"
    """no"""
    READ_WRITE = "read-write"
    """yes"""


class Qcow2CompressionType(enum.Enum):
    """How a qcow2 image compresses."""

    ZLIB = "zlib"
    """by deflate"""
    ZSTD = "zstd"
    """by Zstandard"""


class Qcow2BitmapInfoFlags(enum.Enum):
    """What is said of a bitmap in a qcow2 image."""

    IN_USE = "in-use"
    """it was not saved, so that it cannot be relied on"""
    AUTO = "auto"
    """writes are noted in it"""


class QCryptoHashAlgorithm(enum.Enum):
    """Functions that make a digest."""

    MD5 = "md5"
    """MD5"""
    SHA1 = "sha1"
    """SHA-1"""
    SHA224 = "sha224"
    """SHA-224 (since 2.7)"""
    SHA256 = "sha256"
    """SHA-256"""
    SHA384 = "sha384"
    """SHA-384 (since 2.7)"""
    SHA512 = "sha512"
    """SHA-512 (since 2.7)"""
    RIPEMD160 = "ripemd160"
    """RIPEMD-160 (since 2.7)"""


class QCryptoCipherAlgorithm(enum.Enum):
    """Ciphers."""

    AES_128 = "aes-128"
    """AES with keys of 128 bits"""
    AES_192 = "aes-192"
    """AES with keys of 192 bits"""
    AES_256 = "aes-256"
    """AES with keys of 256 bits"""
    DES = "des"
    """DES"""
    V3DES = "3des"
    """triple DES (since 2.9)"""
    CAST5_128 = "cast5-128"
    """CAST5 with keys of 128 bits"""
    SERPENT_128 = "serpent-128"
    """Serpent with keys of 128 bits"""
    SERPENT_192 = "serpent-192"
    """Serpent with keys of 192 bits"""
    SERPENT_256 = "serpent-256"
    """Serpent with keys of 256 bits"""
    TWOFISH_128 = "twofish-128"
    """Twofish with keys of 128 bits"""
    TWOFISH_192 = "twofish-192"
    """Twofish with keys of 192 bits"""
    TWOFISH_256 = "twofish-256"
    """Twofish with keys of 256 bits"""


class QCryptoCipherMode(enum.Enum):
    """How a cipher is applied to more than one block."""

    ECB = "ecb"
    """each alone"""
    CBC = "cbc"
    """each with the one before"""
    XTS = "xts"
    """each with its place in the sector"""
    CTR = "ctr"
    """by the key stream of a counter (since 2.8)"""


class QCryptoIVGenAlgorithm(enum.Enum):
    """What the initialization vector of a sector is made of."""

    PLAIN = "plain"
    """32 bits of its number"""
    PLAIN64 = "plain64"
    """64 bits of its number"""
    ESSIV = "essiv"
    """its encrypted number"""


class BlockdevQcow2EncryptionFormat(enum.Enum):
    """How a qcow2 image is encrypted."""

    AES = "aes"
    """by a key that is the password itself, which protects from nobody"""
    LUKS = "luks"
    """as LUKS images are"""


class ImageInfoSpecificKind(enum.Enum):
    """Formats with members of their own."""

    QCOW2 = "qcow2"
    """qcow2"""
    LUKS = "luks"
    """LUKS (since 2.7)"""


class BlockdevDetectZeroesOptions(enum.Enum):
    """What becomes of written zeros."""

    OFF = "off"
    """they are written"""
    ON = "on"
    """the range is made zero as cheaply as that can be"""
    UNMAP = "unmap"
    """so, and the space is given back where discards are passed on"""


class BlockdevDriver(enum.Enum):
    """What a block node can be."""

    BLKDEBUG = "blkdebug"
    """a filter that makes requests fail"""
    COPY_ON_READ = "copy-on-read"
    """a filter that copies what is read into the image (since 3.0)"""
    FILE = "file"
    """a file of the host"""
    HOST_CDROM = "host_cdrom"
    """an optical drive of the host"""
    HOST_DEVICE = "host_device"
    """a device of the host"""
    LUKS = "luks"
    """an encrypted image"""
    NULL_AIO = "null-aio"
    """nothing, with a delay if that is wished"""
    NULL_CO = "null-co"
    """nothing, with a delay if that is wished"""
    PREALLOCATE = "preallocate"
    """a filter that makes a file grow in large steps (since 6.0)"""
    QCOW2 = "qcow2"
    """an image that grows"""
    RAW = "raw"
    """bytes as they are"""
    THROTTLE = "throttle"
    """a filter with limits (since 2.11)"""


class XDbgBlockGraphNodeType(enum.Enum):
    """What stands in the graph of disks."""

    BLOCK_BACKEND = "block-backend"
    """a drive, or whoever else uses a node"""
    BLOCK_JOB = "block-job"
    """a job"""
    BLOCK_DRIVER = "block-driver"
    """a block node"""


class BlockPermission(enum.Enum):
    """What may be done with a block node."""

    CONSISTENT_READ = "consistent-read"
    """read what is the disk's content at one time"""
    WRITE = "write"
    """write"""
    WRITE_UNCHANGED = "write-unchanged"
    """write what is there already"""
    RESIZE = "resize"
    """change the size"""


class ActionCompletionMode(enum.Enum):
    """How the jobs that a transaction starts end."""

    INDIVIDUAL = "individual"
    """each for itself"""
    GROUPED = "grouped"
    """all have their effect or, when one fails or is cancelled, none"""


class TransactionActionKind(enum.Enum):
    """What can be done in a transaction."""

    ABORT = "abort"
    """fail (since 1.6)"""
    BLOCK_DIRTY_BITMAP_ADD = "block-dirty-bitmap-add"
    """as the command (since 2.5)"""
    BLOCK_DIRTY_BITMAP_REMOVE = "block-dirty-bitmap-remove"
    """as the command (since 4.2)"""
    BLOCK_DIRTY_BITMAP_CLEAR = "block-dirty-bitmap-clear"
    """as the command (since 2.5)"""
    BLOCK_DIRTY_BITMAP_ENABLE = "block-dirty-bitmap-enable"
    """as the command (since 4.0)"""
    BLOCK_DIRTY_BITMAP_DISABLE = "block-dirty-bitmap-disable"
    """as the command (since 4.0)"""
    BLOCK_DIRTY_BITMAP_MERGE = "block-dirty-bitmap-merge"
    """as the command (since 4.0)"""
    BLOCKDEV_BACKUP = "blockdev-backup"
    """as the command (since 2.3)"""
    BLOCKDEV_SNAPSHOT = "blockdev-snapshot"
    """as the command (since 2.5)"""
    BLOCKDEV_SNAPSHOT_INTERNAL_SYNC = "blockdev-snapshot-internal-sync"
    """as the command (since 1.7)"""
    BLOCKDEV_SNAPSHOT_SYNC = "blockdev-snapshot-sync"
    """as the command (since 1.1)"""
    DRIVE_BACKUP = "drive-backup"
    """as the command (since 1.6)"""


class VersionTriple(Output, kw_only=True):
    """A version in three numbers."""

    major: Int64
    """first number"""
    minor: Int64
    """second number"""
    micro: Int64
    """third number"""


class VersionInfo(Output, kw_only=True):
    """Which protocol a machine speaks, and which program speaks it."""

    qemu: VersionTriple
    """the version of the machine protocol. Varan reports the newest one whose commands this schema was taken
    from, 7.0.0, because clients decide by this number what they may send
    """
    package: str
    """the program's own name and version, "varan-" and the number"""


class CommandInfo(Output, kw_only=True):
    """One entry in the list of commands."""

    name: str
    """what to put under "execute" """


class SchemaInfoBuiltin(Output, kw_only=True):
    """What is told of a built-in type."""

    json_type: JSONType = field(name="json-type")
    """how its values look in JSON"""


class BuiltinSchemaInfo(SchemaInfoBuiltin, kw_only=True, tag_field="meta-type", tag="builtin"):
    """One entity of the schema."""

    name: str
    """what other entities refer to it by; commands and events have their real names here, types other than
    built-in ones do not
    """
    features: list[str] | UnsetType = UNSET
    """names of its features, in the order of their definition (since 4.1)"""
    meta_type: ClassVar[SchemaMetaType] = SchemaMetaType.BUILTIN


class SchemaInfoEnum(Output, kw_only=True):
    """What is told of an enumeration."""

    members: list[SchemaInfoEnumMember]
    """its values, in no particular order (since 6.2)"""
    values: list[str]
    """the same as bare strings, for clients older than `members`"""


class EnumSchemaInfo(SchemaInfoEnum, kw_only=True, tag_field="meta-type", tag="enum"):
    """One entity of the schema."""

    name: str
    """what other entities refer to it by; commands and events have their real names here, types other than
    built-in ones do not
    """
    features: list[str] | UnsetType = UNSET
    """names of its features, in the order of their definition (since 4.1)"""
    meta_type: ClassVar[SchemaMetaType] = SchemaMetaType.ENUM


class SchemaInfoArray(Output, kw_only=True):
    """What is told of a list."""

    element_type: str = field(name="element-type")
    """name of the elements' type"""


class ArraySchemaInfo(SchemaInfoArray, kw_only=True, tag_field="meta-type", tag="array"):
    """One entity of the schema."""

    name: str
    """what other entities refer to it by; commands and events have their real names here, types other than
    built-in ones do not
    """
    features: list[str] | UnsetType = UNSET
    """names of its features, in the order of their definition (since 4.1)"""
    meta_type: ClassVar[SchemaMetaType] = SchemaMetaType.ARRAY


class SchemaInfoObject(Output, kw_only=True):
    """What is told of a structure or union."""

    members: list[SchemaInfoObjectMember]
    """the members that all its values may have"""
    tag: str | UnsetType = UNSET
    """name of the member that selects a variant; only in a union"""
    variants: list[SchemaInfoObjectVariant] | UnsetType = UNSET
    """what each of the tag's values adds; only in a union"""


class ObjectSchemaInfo(SchemaInfoObject, kw_only=True, tag_field="meta-type", tag="object"):
    """One entity of the schema."""

    name: str
    """what other entities refer to it by; commands and events have their real names here, types other than
    built-in ones do not
    """
    features: list[str] | UnsetType = UNSET
    """names of its features, in the order of their definition (since 4.1)"""
    meta_type: ClassVar[SchemaMetaType] = SchemaMetaType.OBJECT


class SchemaInfoAlternate(Output, kw_only=True):
    """What is told of an alternate."""

    members: list[SchemaInfoAlternateMember]
    """the types its values may have"""


class AlternateSchemaInfo(SchemaInfoAlternate, kw_only=True, tag_field="meta-type", tag="alternate"):
    """One entity of the schema."""

    name: str
    """what other entities refer to it by; commands and events have their real names here, types other than
    built-in ones do not
    """
    features: list[str] | UnsetType = UNSET
    """names of its features, in the order of their definition (since 4.1)"""
    meta_type: ClassVar[SchemaMetaType] = SchemaMetaType.ALTERNATE


class SchemaInfoCommand(Output, kw_only=True):
    """What is told of a command."""

    arg_type: str = field(name="arg-type")
    """name of the object type its arguments form"""
    ret_type: str = field(name="ret-type")
    """name of the type it returns; an empty object for none"""
    allow_oob: bool | UnsetType = field(default=UNSET, name="allow-oob")
    """whether "exec-oob" may run it; absent means not (since 2.12)"""


class CommandSchemaInfo(SchemaInfoCommand, kw_only=True, tag_field="meta-type", tag="command"):
    """One entity of the schema."""

    name: str
    """what other entities refer to it by; commands and events have their real names here, types other than
    built-in ones do not
    """
    features: list[str] | UnsetType = UNSET
    """names of its features, in the order of their definition (since 4.1)"""
    meta_type: ClassVar[SchemaMetaType] = SchemaMetaType.COMMAND


class SchemaInfoEvent(Output, kw_only=True):
    """What is told of an event."""

    arg_type: str = field(name="arg-type")
    """name of the object type its data forms"""


class EventSchemaInfo(SchemaInfoEvent, kw_only=True, tag_field="meta-type", tag="event"):
    """One entity of the schema."""

    name: str
    """what other entities refer to it by; commands and events have their real names here, types other than
    built-in ones do not
    """
    features: list[str] | UnsetType = UNSET
    """names of its features, in the order of their definition (since 4.1)"""
    meta_type: ClassVar[SchemaMetaType] = SchemaMetaType.EVENT


class SchemaInfoEnumMember(Output, kw_only=True):
    """One value of an enumeration."""

    name: str
    """the string"""
    features: list[str] | UnsetType = UNSET
    """names of its features (since 7.0)"""


class SchemaInfoObjectMember(Output, kw_only=True):
    """One member of an object."""

    name: str
    """the key"""
    type: str
    """name of the value's type"""
    default: Any | UnsetType = UNSET
    """present when the member may be left out; null stands for "no default that could be told" """
    features: list[str] | UnsetType = UNSET
    """names of its features (since 5.0)"""


class SchemaInfoObjectVariant(Output, kw_only=True):
    """What an object has in addition for one value of its tag."""

    case: str
    """the tag's value"""
    type: str
    """name of the object type whose members are added"""


class SchemaInfoAlternateMember(Output, kw_only=True):
    """One possibility of an alternate."""

    type: str
    """name of the type"""


class StatusInfo(Output, kw_only=True):
    """A machine's run state."""

    running: bool
    """whether the guest executes"""
    singlestep: bool
    """whether translated code holds one guest instruction per block; Varan never translates so, and a
    debugger's single steps do not count
    """
    status: RunState
    """the run state proper"""


class NameInfo(Output, kw_only=True):
    """A machine's name."""

    name: str | UnsetType = UNSET
    """the name; absent when it was given none"""


class UuidInfo(Output, kw_only=True):
    """A machine's UUID."""

    UUID: str
    """32 hexadecimal digits, lower case, in groups of 8, 4, 4, 4 and 12"""


class KvmInfo(Output, kw_only=True):
    """Whether the guest runs on the host's CPU."""

    enabled: bool
    """this machine uses KVM"""
    present: bool
    """a machine could use KVM on this host"""


class TargetInfo(Output, kw_only=True):
    """Which guests this program runs."""

    arch: SysEmuTarget
    """the CPU's architecture"""


class CpuInfo(Output, kw_only=True):
    """A vCPU, as older clients want it told."""

    CPU: Int64
    """its number, from 0"""
    current: bool
    """true for vCPU 0 only; it has no use any more"""
    halted: bool
    """whether it sleeps in HLT, or has not been started by another vCPU yet; this may have changed by the
    time the answer is read
    """
    pc: Int64 | UnsetType = UNSET
    """instruction pointer as a linear address; what x86 guests have. The upper half of the address space
    shows as negative numbers
    """
    nip: Int64 | UnsetType = UNSET
    """instruction pointer of a Power guest"""
    npc: Int64 | UnsetType = UNSET
    """instruction after the next one of a SPARC guest"""
    PC: Int64 | UnsetType = UNSET
    """instruction pointer of a MIPS guest"""
    thread_id: Int64
    """the host thread that runs it"""


class CpuInstanceProperties(Output, kw_only=True):
    """Where a vCPU sits."""

    node_id: Int64 | UnsetType = field(default=UNSET, name="node-id")
    """NUMA node"""
    socket_id: Int64 | UnsetType = field(default=UNSET, name="socket-id")
    """socket, counted in its machine"""
    die_id: Int64 | UnsetType = field(default=UNSET, name="die-id")
    """die, counted in its socket (since 4.1)"""
    core_id: Int64 | UnsetType = field(default=UNSET, name="core-id")
    """core, counted in what it sits in"""
    thread_id: Int64 | UnsetType = field(default=UNSET, name="thread-id")
    """thread, counted in its core"""


class CpuInfoS390(Output, kw_only=True):
    """What is told in addition of a vCPU of an s390x guest."""

    cpu_state: CpuS390State = field(name="cpu-state")
    """what it is doing"""


class Aarch64CpuInfoFast(Output, kw_only=True, tag_field="target", tag="aarch64"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.AARCH64


class AlphaCpuInfoFast(Output, kw_only=True, tag_field="target", tag="alpha"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.ALPHA


class ArmCpuInfoFast(Output, kw_only=True, tag_field="target", tag="arm"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.ARM


class AvrCpuInfoFast(Output, kw_only=True, tag_field="target", tag="avr"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.AVR


class CrisCpuInfoFast(Output, kw_only=True, tag_field="target", tag="cris"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.CRIS


class HppaCpuInfoFast(Output, kw_only=True, tag_field="target", tag="hppa"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.HPPA


class I386CpuInfoFast(Output, kw_only=True, tag_field="target", tag="i386"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.I386


class Loongarch64CpuInfoFast(Output, kw_only=True, tag_field="target", tag="loongarch64"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.LOONGARCH64


class M68kCpuInfoFast(Output, kw_only=True, tag_field="target", tag="m68k"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.M68K


class MicroblazeCpuInfoFast(Output, kw_only=True, tag_field="target", tag="microblaze"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.MICROBLAZE


class MicroblazeelCpuInfoFast(Output, kw_only=True, tag_field="target", tag="microblazeel"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.MICROBLAZEEL


class MipsCpuInfoFast(Output, kw_only=True, tag_field="target", tag="mips"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.MIPS


class Mips64CpuInfoFast(Output, kw_only=True, tag_field="target", tag="mips64"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.MIPS64


class Mips64elCpuInfoFast(Output, kw_only=True, tag_field="target", tag="mips64el"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.MIPS64EL


class MipselCpuInfoFast(Output, kw_only=True, tag_field="target", tag="mipsel"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.MIPSEL


class Nios2CpuInfoFast(Output, kw_only=True, tag_field="target", tag="nios2"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.NIOS2


class Or1kCpuInfoFast(Output, kw_only=True, tag_field="target", tag="or1k"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.OR1K


class PpcCpuInfoFast(Output, kw_only=True, tag_field="target", tag="ppc"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.PPC


class Ppc64CpuInfoFast(Output, kw_only=True, tag_field="target", tag="ppc64"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.PPC64


class Riscv32CpuInfoFast(Output, kw_only=True, tag_field="target", tag="riscv32"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.RISCV32


class Riscv64CpuInfoFast(Output, kw_only=True, tag_field="target", tag="riscv64"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.RISCV64


class RxCpuInfoFast(Output, kw_only=True, tag_field="target", tag="rx"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.RX


class S390xCpuInfoFast(CpuInfoS390, kw_only=True, tag_field="target", tag="s390x"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.S390X


class Sh4CpuInfoFast(Output, kw_only=True, tag_field="target", tag="sh4"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.SH4


class Sh4ebCpuInfoFast(Output, kw_only=True, tag_field="target", tag="sh4eb"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.SH4EB


class SparcCpuInfoFast(Output, kw_only=True, tag_field="target", tag="sparc"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.SPARC


class Sparc64CpuInfoFast(Output, kw_only=True, tag_field="target", tag="sparc64"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.SPARC64


class TricoreCpuInfoFast(Output, kw_only=True, tag_field="target", tag="tricore"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.TRICORE


class X8664CpuInfoFast(Output, kw_only=True, tag_field="target", tag="x86_64"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.X86_64


class XtensaCpuInfoFast(Output, kw_only=True, tag_field="target", tag="xtensa"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.XTENSA


class XtensaebCpuInfoFast(Output, kw_only=True, tag_field="target", tag="xtensaeb"):
    """A vCPU, without what would have to be asked of the vCPU itself."""

    cpu_index: Int64 = field(name="cpu-index")
    """its number, from 0"""
    qom_path: str = field(name="qom-path")
    """its place in the machine's object tree"""
    thread_id: Int64 = field(name="thread-id")
    """the host thread that runs it"""
    props: CpuInstanceProperties | UnsetType = UNSET
    """where it sits"""
    target: ClassVar[SysEmuTarget] = SysEmuTarget.XTENSAEB


class MemoryInfo(Output, kw_only=True):
    """How much memory a guest has."""

    base_memory: UInt64 = field(name="base-memory")
    """bytes it started with"""
    plugged_memory: UInt64 | UnsetType = field(default=UNSET, name="plugged-memory")
    """bytes plugged in since"""


class Memdev(Output, kw_only=True):
    """A memory backend: host memory that a guest may get."""

    id: str | UnsetType = UNSET
    """the object's id (since 2.9)"""
    size: UInt64
    """bytes"""
    merge: bool
    """the host may merge equal pages"""
    dump: bool
    """it goes into core dumps"""
    prealloc: bool
    """the host gave all of it at once"""
    share: bool
    """other processes may map it (since 6.1)"""
    reserve: bool | UnsetType = UNSET
    """only what the host can promise (since 6.1)"""
    host_nodes: list[UInt16] = field(name="host-nodes")
    """the host's NUMA nodes that it comes from"""
    policy: HostMemPolicy
    """how it comes from these"""


class CurrentMachineParams(Output, kw_only=True):
    """What this very machine can do."""

    wakeup_suspend_support: bool = field(name="wakeup-suspend-support")
    """whether a sleeping guest (ACPI S3) can be woken"""


class MachineInfo(Output, kw_only=True):
    """A machine type."""

    name: str
    """its name"""
    alias: str | UnsetType = UNSET
    """a shorter name that means it"""
    is_default: bool | UnsetType = field(default=UNSET, name="is-default")
    """it is what a machine is unless told otherwise"""
    cpu_max: Int64 = field(name="cpu-max")
    """the most vCPUs that a machine of this type can have (since 1.5)"""
    hotpluggable_cpus: bool = field(name="hotpluggable-cpus")
    """CPUs can be told apart by "query-hotpluggable-cpus" (since 2.7)"""
    numa_mem_supported: bool = field(name="numa-mem-supported")
    """memory can be given to NUMA nodes by size (since 4.1)"""
    deprecated: bool
    """it will go (since 4.1)"""
    default_cpu_type: str | UnsetType = field(default=UNSET, name="default-cpu-type")
    """the type of its CPUs unless told otherwise; absent for a machine without CPUs (since 4.2)"""
    default_ram_id: str | UnsetType = field(default=UNSET, name="default-ram-id")
    """the name of its memory in saved machines (since 5.2)"""


class HotpluggableCPU(Output, kw_only=True):
    """A place where a CPU is."""

    type: str
    """the CPU's type"""
    vcpus_count: Int64 = field(name="vcpus-count")
    """the number of vCPUs that come together there"""
    props: CpuInstanceProperties
    """which place it is"""
    qom_path: str | UnsetType = field(default=UNSET, name="qom-path")
    """where the CPU is in the object tree; absent when there is none"""


class CpuDefinitionInfo(Output, kw_only=True):
    """A CPU model."""

    name: str
    """its name, as "-cpu" takes it"""
    migration_safe: bool | UnsetType = field(default=UNSET, name="migration-safe")
    """it means the same CPU on every host (since 2.8)"""
    static: bool
    """it means the same CPU in every version too (since 2.8)"""
    unavailable_features: list[str] | UnsetType = field(default=UNSET, name="unavailable-features")
    """features that belong to the model and that a guest does not get here (since 2.8)"""
    typename: str
    """the type of its CPUs in the object tree"""
    alias_of: str | UnsetType = field(default=UNSET, name="alias-of")
    """the model that this is another name of (since 5.0)"""
    deprecated: bool
    """it will go (since 5.2)"""


class CpuModelInfo(Input, kw_only=True):
    """A CPU model with what is chosen otherwise than it has it."""

    name: str
    """the model"""
    props: Any | UnsetType = UNSET
    """features, true or false each"""


class CpuModelExpansionInfo(Output, kw_only=True):
    """A CPU model, spelled out."""

    model: CpuModelInfo
    """the model"""


class BalloonInfo(Output, kw_only=True):
    """How much memory the guest has, and what it says of it."""

    actual: Int64
    """bytes that the guest has, those in the balloon left out"""
    mem_swapped_in: Int64 | UnsetType = UNSET
    """bytes that the guest has read back from its swap space (removed 1.4)"""
    mem_swapped_out: Int64 | UnsetType = UNSET
    """bytes that it has written there (removed 1.4)"""
    major_page_faults: Int64 | UnsetType = UNSET
    """its page faults that waited for a disk (removed 1.4)"""
    minor_page_faults: Int64 | UnsetType = UNSET
    """its other page faults (removed 1.4)"""
    free_mem: Int64 | UnsetType = UNSET
    """bytes that it does not use at all (removed 1.4)"""
    total_mem: Int64 | UnsetType = UNSET
    """bytes that it can use (removed 1.4)"""


class ChardevInfo(Output, kw_only=True):
    """A character device: the host's end of a serial port, monitor or console."""

    label: str
    """its id"""
    filename: str
    """what it leads to, in the command line's notation for character devices"""
    frontend_open: bool = field(name="frontend-open")
    """whether a device or monitor of the machine uses it (since 2.1)"""


class ChardevBackendInfo(Output, kw_only=True):
    """A kind of character device."""

    name: str
    """what the command line calls it"""


class ObjectPropertyInfo(Output, kw_only=True):
    """A property of an object or of a type."""

    name: str
    """the property's name"""
    type: str
    """its type: that of a JSON value ("bool", "str", "uint32", ...), the name of an enumeration or structure,
    "child<TYPE>" for an object that is part of this one, or "link<TYPE>" for a reference to another;
    values of the last two are paths
    """
    description: str | UnsetType = UNSET
    """what it is about, where somebody wrote that down"""
    default_value: Any | UnsetType = field(default=UNSET, name="default-value")
    """its value unless given (since 5.0)"""


class ObjectTypeInfo(Output, kw_only=True):
    """A type of objects."""

    name: str
    """the type's name"""
    abstract: bool | UnsetType = UNSET
    """there are no objects of this type itself (default: false, since 2.10)"""
    parent: str | UnsetType = UNSET
    """the type that it derives from (since 2.10)"""


class SecretProperties(Input, kw_only=True):
    """A password or key. One of "data" and "file" has to be there."""

    data: str | UnsetType = UNSET
    """the secret itself"""
    file: str | UnsetType = UNSET
    """the file that holds it"""
    format: QCryptoSecretFormat | UnsetType = UNSET
    """how it is written (default: raw)"""
    keyid: str | UnsetType = UNSET
    """a secret of 32 bytes that this one is encrypted with, by AES-256-CBC"""
    iv: str | UnsetType = UNSET
    """the initialization vector of that, 16 bytes in Base64"""


class RngRandomProperties(Input, kw_only=True):
    """Random bytes from a file of the host."""

    filename: str | UnsetType = UNSET
    """the file (default: /dev/urandom)"""


class FilterDumpProperties(Input, kw_only=True):
    """A capture of what goes through a network back end, in a pcap file."""

    netdev: str
    """id of the back end"""
    file: str
    """the file, which is written anew"""
    maxlen: UInt32 | UnsetType = UNSET
    """bytes kept of each frame (default: 65536)"""


class IothreadProperties(Input, kw_only=True):
    """A thread that takes requests from the queues of the disks that name it. It sleeps until there are some,
    one after the other: every member is 0, and nothing else is available.
    """

    poll_max_ns: Int64 | UnsetType = field(default=UNSET, name="poll-max-ns")
    """nanoseconds to look for work before it sleeps (default: 0)"""
    poll_grow: Int64 | UnsetType = field(default=UNSET, name="poll-grow")
    """factor by which that grows (default: 0)"""
    poll_shrink: Int64 | UnsetType = field(default=UNSET, name="poll-shrink")
    """divisor by which that shrinks (default: 0)"""
    aio_max_batch: Int64 | UnsetType = field(default=UNSET, name="aio-max-batch")
    """requests to gather before the host gets them (default: 0; since 6.1)"""


class ThrottleLimits(Input, kw_only=True):
    """Limits on requests to disks. What is absent or 0 is no limit."""

    bps_total: Int64 | UnsetType = field(default=UNSET, name="bps-total")
    """at most so many bytes a second"""
    bps_total_max: Int64 | UnsetType = field(default=UNSET, name="bps-total-max")
    """bursts of so many a second"""
    bps_total_max_length: Int64 | UnsetType = field(default=UNSET, name="bps-total-max-length")
    """bursts last so many seconds"""
    bps_read: Int64 | UnsetType = field(default=UNSET, name="bps-read")
    """at most so many bytes a second"""
    bps_read_max: Int64 | UnsetType = field(default=UNSET, name="bps-read-max")
    """bursts of so many a second"""
    bps_read_max_length: Int64 | UnsetType = field(default=UNSET, name="bps-read-max-length")
    """bursts last so many seconds"""
    bps_write: Int64 | UnsetType = field(default=UNSET, name="bps-write")
    """at most so many bytes a second"""
    bps_write_max: Int64 | UnsetType = field(default=UNSET, name="bps-write-max")
    """bursts of so many a second"""
    bps_write_max_length: Int64 | UnsetType = field(default=UNSET, name="bps-write-max-length")
    """bursts last so many seconds"""
    iops_total: Int64 | UnsetType = field(default=UNSET, name="iops-total")
    """at most so many requests a second"""
    iops_total_max: Int64 | UnsetType = field(default=UNSET, name="iops-total-max")
    """bursts of so many a second"""
    iops_total_max_length: Int64 | UnsetType = field(default=UNSET, name="iops-total-max-length")
    """bursts last so many seconds"""
    iops_read: Int64 | UnsetType = field(default=UNSET, name="iops-read")
    """at most so many requests a second"""
    iops_read_max: Int64 | UnsetType = field(default=UNSET, name="iops-read-max")
    """bursts of so many a second"""
    iops_read_max_length: Int64 | UnsetType = field(default=UNSET, name="iops-read-max-length")
    """bursts last so many seconds"""
    iops_write: Int64 | UnsetType = field(default=UNSET, name="iops-write")
    """at most so many requests a second"""
    iops_write_max: Int64 | UnsetType = field(default=UNSET, name="iops-write-max")
    """bursts of so many a second"""
    iops_write_max_length: Int64 | UnsetType = field(default=UNSET, name="iops-write-max-length")
    """bursts last so many seconds"""
    iops_size: Int64 | UnsetType = field(default=UNSET, name="iops-size")
    """a request of more bytes counts as several"""


class ThrottleGroupProperties(Input, kw_only=True):
    """Limits that several disks share."""

    limits: ThrottleLimits | UnsetType = UNSET
    """the limits"""


class MemoryBackendProperties(Input, kw_only=True):
    """Settings of host memory for guests."""

    size: UInt64
    """bytes"""
    share: bool | UnsetType = UNSET
    """other processes may map it too (default: false)"""
    merge: bool | UnsetType = UNSET
    """the host may merge equal pages (default: false)"""
    dump: bool | UnsetType = UNSET
    """it goes into core dumps (default: true)"""
    prealloc: bool | UnsetType = UNSET
    """the host gives all of it at once (default: false)"""
    reserve: bool | UnsetType = UNSET
    """only what the host can promise (default: true; since 6.1)"""
    host_nodes: list[UInt16] | UnsetType = field(default=UNSET, name="host-nodes")
    """NUMA nodes of the host that it comes from"""
    policy: HostMemPolicy | UnsetType = UNSET
    """how it comes from these (default: default)"""


class MemoryBackendFileProperties(MemoryBackendProperties, kw_only=True):
    """Settings of host memory that is a file's."""

    mem_path: str = field(name="mem-path")
    """the file, which is made where there is none; or a folder for one without a name"""
    discard_data: bool | UnsetType = field(default=UNSET, name="discard-data")
    """what is in the file is of no use afterwards (default: false)"""


class MemoryBackendMemfdProperties(MemoryBackendProperties, kw_only=True):
    """Settings of host memory of a file that is in memory. `share` is true unless given."""

    seal: bool | UnsetType = UNSET
    """its size cannot change (default: true)"""
    hugetlb: bool | UnsetType = UNSET
    """it has huge pages (default: false)"""
    hugetlbsize: UInt64 | UnsetType = UNSET
    """size of these, 0 for the host's usual one (default: 0)"""


class FilterDumpObjectOptions(FilterDumpProperties, kw_only=True, tag_field="qom-type", tag="filter-dump"):
    """Describes a user-made object."""

    id: str
    """what it is called; it appears below /objects under this name"""
    qom_type: ClassVar[ObjectType] = ObjectType.FILTER_DUMP


class IothreadObjectOptions(IothreadProperties, kw_only=True, tag_field="qom-type", tag="iothread"):
    """Describes a user-made object."""

    id: str
    """what it is called; it appears below /objects under this name"""
    qom_type: ClassVar[ObjectType] = ObjectType.IOTHREAD


class MemoryBackendFileObjectOptions(MemoryBackendFileProperties, kw_only=True, tag_field="qom-type", tag="memory-backend-file"):
    """Describes a user-made object."""

    id: str
    """what it is called; it appears below /objects under this name"""
    qom_type: ClassVar[ObjectType] = ObjectType.MEMORY_BACKEND_FILE


class MemoryBackendMemfdObjectOptions(MemoryBackendMemfdProperties, kw_only=True, tag_field="qom-type", tag="memory-backend-memfd"):
    """Describes a user-made object."""

    id: str
    """what it is called; it appears below /objects under this name"""
    qom_type: ClassVar[ObjectType] = ObjectType.MEMORY_BACKEND_MEMFD


class MemoryBackendRamObjectOptions(MemoryBackendProperties, kw_only=True, tag_field="qom-type", tag="memory-backend-ram"):
    """Describes a user-made object."""

    id: str
    """what it is called; it appears below /objects under this name"""
    qom_type: ClassVar[ObjectType] = ObjectType.MEMORY_BACKEND_RAM


class RngBuiltinObjectOptions(Input, kw_only=True, tag_field="qom-type", tag="rng-builtin"):
    """Describes a user-made object."""

    id: str
    """what it is called; it appears below /objects under this name"""
    qom_type: ClassVar[ObjectType] = ObjectType.RNG_BUILTIN


class RngRandomObjectOptions(RngRandomProperties, kw_only=True, tag_field="qom-type", tag="rng-random"):
    """Describes a user-made object."""

    id: str
    """what it is called; it appears below /objects under this name"""
    qom_type: ClassVar[ObjectType] = ObjectType.RNG_RANDOM


class SecretObjectOptions(SecretProperties, kw_only=True, tag_field="qom-type", tag="secret"):
    """Describes a user-made object."""

    id: str
    """what it is called; it appears below /objects under this name"""
    qom_type: ClassVar[ObjectType] = ObjectType.SECRET


class ThrottleGroupObjectOptions(ThrottleGroupProperties, kw_only=True, tag_field="qom-type", tag="throttle-group"):
    """Describes a user-made object."""

    id: str
    """what it is called; it appears below /objects under this name"""
    qom_type: ClassVar[ObjectType] = ObjectType.THROTTLE_GROUP


class PciMemoryRange(Output, kw_only=True):
    """A run of addresses."""

    base: Int64
    """the first one"""
    limit: Int64
    """the last one; below `base` for no run at all"""


class PciMemoryRegion(Output, kw_only=True):
    """What a base address register of a function, or its expansion ROM, shows."""

    bar: Int64
    """the register's number, 6 for the ROM"""
    type: str
    """"io" for ports, "memory" for memory"""
    address: Int64
    """where it is; -1 while the guest has not put it anywhere or has it switched off"""
    size: Int64
    """its length in bytes"""
    prefetch: bool | UnsetType = UNSET
    """whether reading it has no side effects; memory only"""
    mem_type_64: bool | UnsetType = UNSET
    """whether its address has 64 bits; memory only"""


class PciBusInfo(Output, kw_only=True):
    """A bridge's two buses and what it passes on between them."""

    number: Int64
    """the number of the bus on which the bridge sits"""
    secondary: Int64
    """the number of the bus behind it"""
    subordinate: Int64
    """the highest number of a bus that is reached through it"""
    io_range: PciMemoryRange
    """ports that it passes on"""
    memory_range: PciMemoryRange
    """memory that it passes on"""
    prefetchable_range: PciMemoryRange
    """memory without side effects that it passes on"""


class PciBridgeInfo(Output, kw_only=True):
    """A bridge, and what is behind it."""

    bus: PciBusInfo
    """its buses and windows"""
    devices: list[PciDeviceInfo] | UnsetType = UNSET
    """the functions behind it; absent while the guest has not given the bus behind it a number"""


class PciDeviceClass(Output, kw_only=True):
    """What a function is for."""

    desc: str | UnsetType = UNSET
    """the class in words, for classes that have a name"""
    class_: Int64 = field(name="class")
    """the class code: base class and subclass"""


class PciDeviceId(Output, kw_only=True):
    """Who made a function."""

    device: Int64
    """the device ID"""
    vendor: Int64
    """the vendor ID"""
    subsystem: Int64 | UnsetType = UNSET
    """the subsystem's ID, where there is one (since 3.1)"""
    subsystem_vendor: Int64 | UnsetType = field(default=UNSET, name="subsystem-vendor")
    """the subsystem's vendor, where there is one (since 3.1)"""


class PciDeviceInfo(Output, kw_only=True):
    """A function, as its configuration space is now."""

    bus: Int64
    """the number of the bus on which it sits"""
    slot: Int64
    """its slot there"""
    function: Int64
    """its number within the slot"""
    class_info: PciDeviceClass
    """what it is for"""
    id: PciDeviceId
    """who made it"""
    irq: Int64 | UnsetType = UNSET
    """what its interrupt line register says; absent for a function without interrupt pin"""
    irq_pin: Int64
    """its interrupt pin: 1 to 4 for INTA# to INTD#, 0 for none (since 5.1)"""
    qdev_id: str
    """the ID that its device was given, empty without one"""
    pci_bridge: PciBridgeInfo | UnsetType = UNSET
    """what there is to know of it as a bridge; absent for others"""
    regions: list[PciMemoryRegion]
    """what its base address registers show"""


class PciInfo(Output, kw_only=True):
    """A root bus."""

    bus: Int64
    """its number"""
    devices: list[PciDeviceInfo]
    """the functions on it, in the order of slots"""


class CommandLineParameterInfo(Output, kw_only=True):
    """A parameter of an option of the command line."""

    name: str
    """its name"""
    type: CommandLineParameterType
    """what its value looks like"""
    help: str | UnsetType = UNSET
    """what it is about"""
    default: str | UnsetType = UNSET
    """its value unless given (since 2.1)"""


class CommandLineOptionInfo(Output, kw_only=True):
    """An option of the command line whose argument has parameters."""

    option: str
    """its name; some have here the name that they had before"""
    parameters: list[CommandLineParameterInfo]
    """those that are the same for all of its uses"""


class IOThreadInfo(Output, kw_only=True):
    """An I/O thread: an object of the type "iothread"."""

    id: str
    """the object's id"""
    thread_id: Int64 = field(name="thread-id")
    """the host's number of the thread"""
    poll_max_ns: Int64 = field(name="poll-max-ns")
    """nanoseconds to look for work before it sleeps (since 2.9)"""
    poll_grow: Int64 = field(name="poll-grow")
    """factor by which that grows (since 2.9)"""
    poll_shrink: Int64 = field(name="poll-shrink")
    """divisor by which that shrinks (since 2.9)"""
    aio_max_batch: Int64 = field(name="aio-max-batch")
    """requests to gather before the host gets them (since 6.1)"""


class String(Input, kw_only=True):
    """A text in a list."""

    str_: str = field(name="str")
    """the text"""


class NetdevUserOptions(Input, kw_only=True):
    """A network of the guest's own behind the host's sockets."""

    hostname: str | UnsetType = UNSET
    """name that the guest gets by DHCP"""
    restrict: bool | UnsetType = UNSET
    """keep the guest from the host and from other networks; what is forwarded goes through all the same"""
    ipv4: bool | UnsetType = UNSET
    """whether there is IPv4, on unless only IPv6 is asked for (since 2.6)"""
    ipv6: bool | UnsetType = UNSET
    """whether there is IPv6, on unless only IPv4 is asked for (since 2.6)"""
    ip: str | UnsetType = UNSET
    """an older name of `net`"""
    net: str | UnsetType = UNSET
    """the network that the guest sees, as address and prefix length; 10.0.2.0/24 unless given"""
    host: str | UnsetType = UNSET
    """the host's address there, by default the network's second"""
    tftp: str | UnsetType = UNSET
    """directory whose files the guest gets by TFTP"""
    bootfile: str | UnsetType = UNSET
    """name of the file that DHCP tells the guest to boot"""
    dhcpstart: str | UnsetType = UNSET
    """the first address given to guests, by default the network's fifteenth"""
    dns: str | UnsetType = UNSET
    """the name server's address there, by default the network's third"""
    dnssearch: list[String] | UnsetType = UNSET
    """domains in which the guest looks names up"""
    domainname: str | UnsetType = UNSET
    """domain that the guest is told it is in (since 3.0)"""
    ipv6_prefix: str | UnsetType = field(default=UNSET, name="ipv6-prefix")
    """IPv6 prefix of the network, fec0:: unless given (since 2.6)"""
    ipv6_prefixlen: Int64 | UnsetType = field(default=UNSET, name="ipv6-prefixlen")
    """its length in bits, 64 unless given (since 2.6)"""
    ipv6_host: str | UnsetType = field(default=UNSET, name="ipv6-host")
    """the host's IPv6 address there (since 2.6)"""
    ipv6_dns: str | UnsetType = field(default=UNSET, name="ipv6-dns")
    """the name server's IPv6 address there (since 2.6)"""
    hostfwd: list[String] | UnsetType = UNSET
    """ports of the host that lead to the guest, each as [tcp|udp]:[host address]:port-[guest address]:port"""
    guestfwd: list[String] | UnsetType = UNSET
    """addresses in the network that lead to a command or a Unix socket of the host, each as
    [tcp]:address:port-cmd:command or [tcp]:address:port-unix:path
    """
    tftp_server_name: str | UnsetType = field(default=UNSET, name="tftp-server-name")
    """name of the TFTP server that DHCP tells the guest (since 3.1)"""


class NetdevTapOptions(Input, kw_only=True):
    """An Ethernet interface of the host's."""

    ifname: str | UnsetType = UNSET
    """its name; the host chooses one unless given"""
    fd: str | UnsetType = UNSET
    """number of a descriptor of an interface that is open already"""
    script: str | UnsetType = UNSET
    """program to run once the interface is there, with its name; "no" and the default mean none"""
    downscript: str | UnsetType = UNSET
    """program to run before it goes, likewise"""
    vnet_hdr: bool | UnsetType = UNSET
    """must be off"""


class NetdevSocketOptions(Input, kw_only=True):
    """Frames over a socket, in the older spelling. Exactly one of `fd`, `listen`, `connect`, `mcast` and
    `udp` is given.
    """

    fd: str | UnsetType = UNSET
    """number of a descriptor of a connected socket"""
    listen: str | UnsetType = UNSET
    """host and port to wait for a peer at"""
    connect: str | UnsetType = UNSET
    """host and port of the peer"""
    mcast: str | UnsetType = UNSET
    """address and port of a multicast group"""
    localaddr: str | UnsetType = UNSET
    """the host's own address, for `mcast` and `udp`"""
    udp: str | UnsetType = UNSET
    """host and port to send datagrams to"""


class NetdevHubPortOptions(Input, kw_only=True):
    """A place at a hub, where every frame goes to all other places."""

    hubid: Int32
    """the hub's number"""
    netdev: str | UnsetType = UNSET
    """back end that sits at the place, instead of an adapter (since 2.12)"""


class NetdevInetAddress(Input, kw_only=True):
    """Host and port."""

    host: str
    """the host's name or address"""
    port: str
    """the port"""
    to: UInt16 | UnsetType = UNSET
    """the last port to try when listening"""
    ipv4: bool | UnsetType = UNSET
    """whether IPv4 may be used"""
    ipv6: bool | UnsetType = UNSET
    """whether IPv6 may be used"""


class NetdevUnixAddress(Input, kw_only=True):
    """A socket in the file system, or in Linux's abstract name space."""

    path: str
    """the path or name"""
    abstract: bool | UnsetType = UNSET
    """whether it is a name in the abstract name space (since 5.1)"""
    tight: bool | UnsetType = UNSET
    """whether such a name ends where the text does (since 5.1)"""


class InetNetdevAddress(NetdevInetAddress, kw_only=True, tag_field="type", tag="inet"):
    """Where a socket is."""
    type: ClassVar[NetdevAddressType] = NetdevAddressType.INET


class UnixNetdevAddress(NetdevUnixAddress, kw_only=True, tag_field="type", tag="unix"):
    """Where a socket is."""
    type: ClassVar[NetdevAddressType] = NetdevAddressType.UNIX


class FdNetdevAddress(String, kw_only=True, tag_field="type", tag="fd"):
    """Where a socket is."""
    type: ClassVar[NetdevAddressType] = NetdevAddressType.FD


class NetdevStreamOptions(Input, kw_only=True):
    """Frames over a stream socket, each behind its length."""

    addr: NetdevAddress
    """where to wait or to connect to"""
    server: bool | UnsetType = UNSET
    """wait for a peer instead of connecting to one"""
    reconnect: UInt32 | UnsetType = UNSET
    """seconds after which a client tries again when it finds no server or loses it; 0, the default: it does
    not (since 8.0)
    """


class NetdevDgramOptions(Input, kw_only=True):
    """Frames over a datagram socket, one in each datagram."""

    local: NetdevAddress | UnsetType = UNSET
    """where datagrams come in"""
    remote: NetdevAddress | UnsetType = UNSET
    """where they go; a multicast group is joined"""


class UserNetdev(NetdevUserOptions, kw_only=True, tag_field="type", tag="user"):
    """A network back end."""

    id: str
    """its name"""
    type: ClassVar[NetClientDriver] = NetClientDriver.USER


class TapNetdev(NetdevTapOptions, kw_only=True, tag_field="type", tag="tap"):
    """A network back end."""

    id: str
    """its name"""
    type: ClassVar[NetClientDriver] = NetClientDriver.TAP


class SocketNetdev(NetdevSocketOptions, kw_only=True, tag_field="type", tag="socket"):
    """A network back end."""

    id: str
    """its name"""
    type: ClassVar[NetClientDriver] = NetClientDriver.SOCKET


class StreamNetdev(NetdevStreamOptions, kw_only=True, tag_field="type", tag="stream"):
    """A network back end."""

    id: str
    """its name"""
    type: ClassVar[NetClientDriver] = NetClientDriver.STREAM


class DgramNetdev(NetdevDgramOptions, kw_only=True, tag_field="type", tag="dgram"):
    """A network back end."""

    id: str
    """its name"""
    type: ClassVar[NetClientDriver] = NetClientDriver.DGRAM


class HubportNetdev(NetdevHubPortOptions, kw_only=True, tag_field="type", tag="hubport"):
    """A network back end."""

    id: str
    """its name"""
    type: ClassVar[NetClientDriver] = NetClientDriver.HUBPORT


class RxFilterInfo(Output, kw_only=True):
    """What frames an adapter passes to its guest."""

    name: str
    """the adapter's id"""
    promiscuous: bool
    """it passes all of them"""
    multicast: RxState
    """what becomes of those for groups"""
    unicast: RxState
    """what becomes of those for single stations"""
    vlan: RxState
    """what becomes of those with a VLAN tag (since 2.0)"""
    broadcast_allowed: bool = field(name="broadcast-allowed")
    """those for everybody pass"""
    multicast_overflow: bool = field(name="multicast-overflow")
    """the guest has given more groups than the list holds, so all pass"""
    unicast_overflow: bool = field(name="unicast-overflow")
    """the guest has given more stations than the list holds, so all pass"""
    main_mac: str = field(name="main-mac")
    """the adapter's own address"""
    vlan_table: list[Int64] = field(name="vlan-table")
    """VLANs on the list"""
    unicast_table: list[str] = field(name="unicast-table")
    """stations on the list"""
    multicast_table: list[str] = field(name="multicast-table")
    """groups on the list"""


class AnnounceParameters(Input, kw_only=True):
    """How often adapters announce themselves, in milliseconds."""

    initial: Int64
    """the pause before the second time"""
    max: Int64
    """the longest pause"""
    rounds: Int64
    """how many times"""
    step: Int64
    """how much longer each pause is than the one before"""
    interfaces: list[str] | UnsetType = UNSET
    """ids of the adapters; all unless given"""
    id: str | UnsetType = UNSET
    """a name for this series: another of the same name replaces it, and one with no rounds ends it (since
    4.1)
    """


class JobInfo(Output, kw_only=True):
    """One job."""

    id: str
    """its name"""
    type: JobType
    """what it does"""
    status: JobStatus
    """how far it has come"""
    current_progress: Int64 = field(name="current-progress")
    """how much is done, in units of its own"""
    total_progress: Int64 = field(name="total-progress")
    """how much `current-progress` is to become; may grow"""
    error: str | UnsetType = UNSET
    """why it failed, once it has"""


class IntWrapper(Input, kw_only=True):
    """A number."""

    data: Int64
    """the number"""


class QKeyCodeWrapper(Input, kw_only=True):
    """A key's name."""

    data: QKeyCode
    """the name"""


class NumberKeyValue(IntWrapper, kw_only=True, tag_field="type", tag="number"):
    """A key. Numbers are those of the PC's first set of scan codes, with 0x80 added where the keyboard sends
    0xe0 first.
    """
    type: ClassVar[KeyValueKind] = KeyValueKind.NUMBER


class QcodeKeyValue(QKeyCodeWrapper, kw_only=True, tag_field="type", tag="qcode"):
    """A key. Numbers are those of the PC's first set of scan codes, with 0x80 added where the keyboard sends
    0xe0 first.
    """
    type: ClassVar[KeyValueKind] = KeyValueKind.QCODE


class InputKeyEvent(Input, kw_only=True):
    """A key was pressed or let go."""

    key: KeyValue
    """the key"""
    down: bool
    """whether it is down now"""


class InputBtnEvent(Input, kw_only=True):
    """A button was pressed or let go."""

    button: InputButton
    """the button"""
    down: bool
    """whether it is down now"""


class InputMoveEvent(Input, kw_only=True):
    """A pointer was moved."""

    axis: InputAxis
    """in which direction"""
    value: Int64
    """how far; for a tablet where to, from 0 to 0x7fff"""


class InputKeyEventWrapper(Input, kw_only=True):
    """Something about a key."""

    data: InputKeyEvent
    """what"""


class InputBtnEventWrapper(Input, kw_only=True):
    """Something about a button."""

    data: InputBtnEvent
    """what"""


class InputMoveEventWrapper(Input, kw_only=True):
    """A motion."""

    data: InputMoveEvent
    """what"""


class KeyInputEvent(InputKeyEventWrapper, kw_only=True, tag_field="type", tag="key"):
    """Something that a user did."""
    type: ClassVar[InputEventKind] = InputEventKind.KEY


class BtnInputEvent(InputBtnEventWrapper, kw_only=True, tag_field="type", tag="btn"):
    """Something that a user did."""
    type: ClassVar[InputEventKind] = InputEventKind.BTN


class RelInputEvent(InputMoveEventWrapper, kw_only=True, tag_field="type", tag="rel"):
    """Something that a user did."""
    type: ClassVar[InputEventKind] = InputEventKind.REL


class AbsInputEvent(InputMoveEventWrapper, kw_only=True, tag_field="type", tag="abs"):
    """Something that a user did."""
    type: ClassVar[InputEventKind] = InputEventKind.ABS


class MouseInfo(Output, kw_only=True):
    """A mouse or tablet."""

    name: str
    """what it is called"""
    index: Int64
    """its number"""
    current: bool
    """whether it is what the user's mouse moves"""
    absolute: bool
    """whether it is told positions, not motions"""


class BlockJobInfo(Output, kw_only=True):
    """A job on block nodes."""

    type: JobType
    """what it does"""
    device: str
    """its id, by default the name of the device it works on"""
    len: Int64
    """how much `offset` is to become, in bytes; may grow"""
    offset: Int64
    """how much is done"""
    busy: bool
    """whether it is at work at this moment (since 1.3)"""
    paused: bool
    """whether somebody, or an error, asked it to stop for a while (since 1.3)"""
    speed: Int64
    """its limit in bytes per second, 0 for none"""
    io_status: BlockDeviceIoStatus = field(name="io-status")
    """whether it stands still for an error (since 1.3)"""
    ready: bool
    """whether it can be completed (since 2.2)"""
    status: JobStatus
    """how far it has come (since 2.12)"""
    auto_finalize: bool = field(name="auto-finalize")
    """whether it takes the last step by itself (since 2.12)"""
    auto_dismiss: bool = field(name="auto-dismiss")
    """whether it is forgotten by itself (since 2.12)"""
    error: str | UnsetType = UNSET
    """why it failed, once it has (since 2.12.1)"""


class DriveMirror(Input, kw_only=True):
    """How a disk is mirrored into a file."""

    job_id: str | UnsetType = field(default=UNSET, name="job-id")
    """id of the job, the device's name unless given (since 2.7)"""
    device: str
    """device or node that is mirrored"""
    target: str
    """name of the file"""
    format: str | UnsetType = UNSET
    """its format, by default that of the device's image"""
    node_name: str | UnsetType = field(default=UNSET, name="node-name")
    """name of the new node (since 2.1)"""
    replaces: str | UnsetType = UNSET
    """node that the mirror takes the place of, by default the device's topmost (since 2.1)"""
    sync: MirrorSyncMode
    """which part is copied"""
    mode: NewImageMode | UnsetType = UNSET
    """whether the file is there already, `absolute-paths` unless given"""
    speed: Int64 | UnsetType = UNSET
    """limit in bytes per second, 0 for none"""
    granularity: UInt32 | UnsetType = UNSET
    """bytes that are copied as one where they were written to, a power of two (since 1.4)"""
    buf_size: Int64 | UnsetType = field(default=UNSET, name="buf-size")
    """memory for data on their way, in bytes (since 1.4)"""
    on_source_error: BlockdevOnError | UnsetType = field(default=UNSET, name="on-source-error")
    """what follows when the device cannot be read"""
    on_target_error: BlockdevOnError | UnsetType = field(default=UNSET, name="on-target-error")
    """what follows when the file cannot be written"""
    unmap: bool | UnsetType = UNSET
    """whether zeros may become holes, true unless given (since 2.4)"""
    copy_mode: MirrorCopyMode | UnsetType = field(default=UNSET, name="copy-mode")
    """when writes reach the mirror, `background` unless given (since 3.0)"""
    auto_finalize: bool | UnsetType = field(default=UNSET, name="auto-finalize")
    """whether it takes the last step by itself, true unless given (since 3.1)"""
    auto_dismiss: bool | UnsetType = field(default=UNSET, name="auto-dismiss")
    """whether it is forgotten by itself, true unless given (since 3.1)"""


class BackupPerf(Input, kw_only=True):
    """How hard a backup works."""

    use_copy_range: bool | UnsetType = field(default=UNSET, name="use-copy-range")
    """whether the host's kernel may copy; taken and not needed"""
    max_workers: Int64 | UnsetType = field(default=UNSET, name="max-workers")
    """how many parts are copied at once; taken and not needed"""
    max_chunk: Int64 | UnsetType = field(default=UNSET, name="max-chunk")
    """most bytes that are copied as one, 0 for no wish"""


class BackupCommon(Input, kw_only=True):
    """How a disk is backed up."""

    job_id: str | UnsetType = field(default=UNSET, name="job-id")
    """id of the job, the device's name unless given (since 2.7)"""
    device: str
    """device or node that is copied"""
    sync: MirrorSyncMode
    """which part is copied"""
    speed: Int64 | UnsetType = UNSET
    """limit in bytes per second, 0 for none"""
    bitmap: str | UnsetType = UNSET
    """name of a dirty bitmap, for the modes that use one (since 2.4)"""
    bitmap_mode: BitmapSyncMode | UnsetType = field(default=UNSET, name="bitmap-mode")
    """what becomes of the bitmap (since 4.2)"""
    compress: bool | UnsetType = UNSET
    """whether data are compressed where the format can (since 2.8)"""
    on_source_error: BlockdevOnError | UnsetType = field(default=UNSET, name="on-source-error")
    """what follows when the device cannot be read"""
    on_target_error: BlockdevOnError | UnsetType = field(default=UNSET, name="on-target-error")
    """what follows when the target cannot be written"""
    auto_finalize: bool | UnsetType = field(default=UNSET, name="auto-finalize")
    """whether it takes the last step by itself, true unless given (since 2.12)"""
    auto_dismiss: bool | UnsetType = field(default=UNSET, name="auto-dismiss")
    """whether it is forgotten by itself, true unless given (since 2.12)"""
    filter_node_name: str | UnsetType = field(default=UNSET, name="filter-node-name")
    """name of the node that stands before the device's topmost meanwhile (since 4.2)"""
    x_perf: BackupPerf | UnsetType = field(default=UNSET, name="x-perf")
    """how hard it works (since 6.0)"""


class DriveBackup(BackupCommon, kw_only=True):
    """How a disk is backed up into a file."""

    target: str
    """name of the file"""
    format: str | UnsetType = UNSET
    """its format, by default that of the device's image"""
    mode: NewImageMode | UnsetType = UNSET
    """whether the file is there already, `absolute-paths` unless given"""


class BlockdevBackup(BackupCommon, kw_only=True):
    """How a disk is backed up into a node."""

    target: str
    """device or node that is written"""


class BlockIOThrottle(Input, kw_only=True):
    """What a drive, and with it all drives of its throttle group, may do in a second. Rates count for reads
    and writes together or for each of them; 0 stands for no limit. A burst is a higher rate that lasts for
    some seconds at most, and is earned by using less than the rate.
    """

    device: str | UnsetType = UNSET
    """the drive's name"""
    id: str | UnsetType = UNSET
    """the device's id or path, instead of `device` (since 2.8)"""
    bps: Int64
    """bytes"""
    bps_rd: Int64
    """bytes that are read"""
    bps_wr: Int64
    """bytes that are written"""
    iops: Int64
    """requests"""
    iops_rd: Int64
    """requests to read"""
    iops_wr: Int64
    """requests to write"""
    bps_max: Int64 | UnsetType = UNSET
    """bytes in a burst (since 1.7)"""
    bps_rd_max: Int64 | UnsetType = UNSET
    """bytes that are read in a burst (since 1.7)"""
    bps_wr_max: Int64 | UnsetType = UNSET
    """bytes that are written in a burst (since 1.7)"""
    iops_max: Int64 | UnsetType = UNSET
    """requests in a burst (since 1.7)"""
    iops_rd_max: Int64 | UnsetType = UNSET
    """requests to read in a burst (since 1.7)"""
    iops_wr_max: Int64 | UnsetType = UNSET
    """requests to write in a burst (since 1.7)"""
    bps_max_length: Int64 | UnsetType = UNSET
    """seconds that a burst of `bps_max` may last, 1 unless given (since 2.6)"""
    bps_rd_max_length: Int64 | UnsetType = UNSET
    """likewise of `bps_rd_max` (since 2.6)"""
    bps_wr_max_length: Int64 | UnsetType = UNSET
    """likewise of `bps_wr_max` (since 2.6)"""
    iops_max_length: Int64 | UnsetType = UNSET
    """likewise of `iops_max` (since 2.6)"""
    iops_rd_max_length: Int64 | UnsetType = UNSET
    """likewise of `iops_rd_max` (since 2.6)"""
    iops_wr_max_length: Int64 | UnsetType = UNSET
    """likewise of `iops_wr_max` (since 2.6)"""
    iops_size: Int64 | UnsetType = UNSET
    """bytes from which on a request counts for more than one, in proportion to its length (since 1.7)"""
    group: str | UnsetType = UNSET
    """the throttle group that the drive joins; that it is in, or one of its own, unless given (since 2.4)"""


class SnapshotInfo(Output, kw_only=True):
    """A snapshot in an image."""

    id: str
    """its id, unique in the image"""
    name: str
    """what people call it"""
    vm_state_size: Int64 = field(name="vm-state-size")
    """bytes of the machine's state that are with it"""
    date_sec: Int64 = field(name="date-sec")
    """when it was made, seconds of UTC since 1970"""
    date_nsec: Int64 = field(name="date-nsec")
    """nanoseconds to add to that"""
    vm_clock_sec: Int64 = field(name="vm-clock-sec")
    """for how long the machine had run, in seconds"""
    vm_clock_nsec: Int64 = field(name="vm-clock-nsec")
    """nanoseconds to add to that"""
    icount: Int64 | UnsetType = UNSET
    """how many instructions it had run, where those are counted (since 5.2)"""


class ImageInfo(Output, kw_only=True):
    """An image."""

    filename: str
    """its name"""
    format: str
    """its format"""
    dirty_flag: bool | UnsetType = field(default=UNSET, name="dirty-flag")
    """it was not closed as it should be"""
    actual_size: Int64 | UnsetType = field(default=UNSET, name="actual-size")
    """bytes that it takes on the host"""
    virtual_size: Int64 = field(name="virtual-size")
    """bytes that a guest sees"""
    cluster_size: Int64 | UnsetType = field(default=UNSET, name="cluster-size")
    """bytes of a cluster"""
    encrypted: bool | UnsetType = UNSET
    """it is encrypted"""
    compressed: bool | UnsetType = UNSET
    """what it holds is compressed (since 1.7)"""
    backing_filename: str | UnsetType = field(default=UNSET, name="backing-filename")
    """the image below it, as it is named in the image"""
    full_backing_filename: str | UnsetType = field(default=UNSET, name="full-backing-filename")
    """that name as it counts from outside"""
    backing_filename_format: str | UnsetType = field(default=UNSET, name="backing-filename-format")
    """that image's format, where the image says it"""
    snapshots: list[SnapshotInfo] | UnsetType = UNSET
    """snapshots in it"""
    backing_image: ImageInfo | UnsetType = field(default=UNSET, name="backing-image")
    """the image below it (since 1.6)"""
    format_specific: ImageInfoSpecific | UnsetType = field(default=UNSET, name="format-specific")
    """what only its format has (since 1.7)"""


class Qcow2BitmapInfo(Output, kw_only=True):
    """A dirty bitmap in a qcow2 image."""

    flags: list[Qcow2BitmapInfoFlags]
    """what is said of it"""
    name: str
    """its name"""
    granularity: UInt32
    """bytes of one bit"""


class QCryptoBlockInfoLUKSSlot(Output, kw_only=True):
    """A place for a password."""

    active: bool
    """there is one in it"""
    iters: Int64 | UnsetType = UNSET
    """how often its key is stirred"""
    key_offset: Int64 = field(name="key-offset")
    """where the parts of the key are, in bytes"""
    stripes: Int64 | UnsetType = UNSET
    """into how many parts it is split"""


class QCryptoBlockInfoLUKS(Output, kw_only=True):
    """How a LUKS image is encrypted."""

    ivgen_alg: QCryptoIVGenAlgorithm = field(name="ivgen-alg")
    """what initialization vectors are made of"""
    hash_alg: QCryptoHashAlgorithm = field(name="hash-alg")
    """the digest that keys are derived by"""
    cipher_alg: QCryptoCipherAlgorithm = field(name="cipher-alg")
    """the cipher"""
    uuid: str
    """the image's own id"""
    ivgen_hash_alg: QCryptoHashAlgorithm | UnsetType = field(default=UNSET, name="ivgen-hash-alg")
    """the digest that has a part in initialization vectors"""
    cipher_mode: QCryptoCipherMode = field(name="cipher-mode")
    """how the cipher is applied"""
    slots: list[QCryptoBlockInfoLUKSSlot]
    """places for passwords"""
    payload_offset: Int64 = field(name="payload-offset")
    """where the encrypted data begin, in bytes"""
    master_key_iters: Int64 = field(name="master-key-iters")
    """how often the digest of the key is stirred"""


class AesImageInfoSpecificQCow2Encryption(Output, kw_only=True, tag_field="format", tag="aes"):
    """How a qcow2 image is encrypted."""
    format: ClassVar[BlockdevQcow2EncryptionFormat] = BlockdevQcow2EncryptionFormat.AES


class LuksImageInfoSpecificQCow2Encryption(QCryptoBlockInfoLUKS, kw_only=True, tag_field="format", tag="luks"):
    """How a qcow2 image is encrypted."""
    format: ClassVar[BlockdevQcow2EncryptionFormat] = BlockdevQcow2EncryptionFormat.LUKS


class ImageInfoSpecificQCow2(Output, kw_only=True):
    """What only qcow2 images have."""

    compat: str
    """its version: "0.10" for 2, "1.1" for 3"""
    compression_type: Qcow2CompressionType = field(name="compression-type")
    """how it compresses (since 5.1)"""
    lazy_refcounts: bool | UnsetType = field(default=UNSET, name="lazy-refcounts")
    """reference counts may be wrong after a crash, and are mended then"""
    bitmaps: list[Qcow2BitmapInfo] | UnsetType = UNSET
    """dirty bitmaps in it (since 4.0)"""
    refcount_bits: Int64 = field(name="refcount-bits")
    """bits of a reference count (since 2.3)"""
    encrypt: ImageInfoSpecificQCow2Encryption | UnsetType = UNSET
    """how it is encrypted (since 2.10)"""
    data_file: str | UnsetType = field(default=UNSET, name="data-file")
    """the file that the data are in (since 4.0)"""
    data_file_raw: bool | UnsetType = field(default=UNSET, name="data-file-raw")
    """that file is the disk by itself (since 4.0)"""
    corrupt: bool | UnsetType = UNSET
    """it is known to be damaged (since 2.2)"""
    extended_l2: bool | UnsetType = field(default=UNSET, name="extended-l2")
    """clusters are allocated in parts (since 5.2)"""


class ImageInfoSpecificQCow2Wrapper(Output, kw_only=True):
    """A qcow2 image's own members."""

    data: ImageInfoSpecificQCow2
    """these members"""


class ImageInfoSpecificLUKSWrapper(Output, kw_only=True):
    """A LUKS image's own members."""

    data: QCryptoBlockInfoLUKS
    """these members"""


class Qcow2ImageInfoSpecific(ImageInfoSpecificQCow2Wrapper, kw_only=True, tag_field="type", tag="qcow2"):
    """What only images of one format have."""
    type: ClassVar[ImageInfoSpecificKind] = ImageInfoSpecificKind.QCOW2


class LuksImageInfoSpecific(ImageInfoSpecificLUKSWrapper, kw_only=True, tag_field="type", tag="luks"):
    """What only images of one format have."""
    type: ClassVar[ImageInfoSpecificKind] = ImageInfoSpecificKind.LUKS


class BlockdevCacheInfo(Output, kw_only=True):
    """Caches on the way to an image."""

    writeback: bool
    """writes may wait for a flush"""
    direct: bool
    """the host's page cache is passed by"""
    no_flush: bool = field(name="no-flush")
    """flushes do nothing"""


class BlockDirtyInfo(Output, kw_only=True):
    """A dirty bitmap."""

    name: str | UnsetType = UNSET
    """its name (since 2.4)"""
    count: Int64
    """bytes that are dirty"""
    granularity: UInt32
    """bytes of one bit"""
    recording: bool
    """writes are noted in it (since 4.0)"""
    busy: bool
    """an operation uses it (since 4.0)"""
    persistent: bool
    """it is stored in the image (since 4.0)"""
    inconsistent: bool | UnsetType = UNSET
    """what it says cannot be relied on (since 4.0)"""


class BlockDeviceInfo(Output, kw_only=True):
    """A medium, or a block node."""

    file: str
    """name of its topmost image"""
    node_name: str | UnsetType = field(default=UNSET, name="node-name")
    """name of that node (since 2.0)"""
    ro: bool
    """it cannot be written"""
    drv: str
    """driver of the node"""
    backing_file: str | UnsetType = UNSET
    """name of the image below"""
    backing_file_depth: Int64
    """how many images are below (since 1.2)"""
    encrypted: bool
    """it is encrypted"""
    encryption_key_missing: bool | UnsetType = UNSET
    """it cannot be read for want of a key"""
    detect_zeroes: BlockdevDetectZeroesOptions
    """what becomes of written zeros (since 2.1)"""
    bps: Int64
    """limit, bytes per second, 0 for none"""
    bps_rd: Int64
    """the same for reads"""
    bps_wr: Int64
    """the same for writes"""
    iops: Int64
    """limit, requests per second, 0 for none"""
    iops_rd: Int64
    """the same for reads"""
    iops_wr: Int64
    """the same for writes"""
    image: ImageInfo
    """the image and those below it (since 1.6)"""
    bps_max: Int64 | UnsetType = UNSET
    """bytes per second in a burst (since 1.7)"""
    bps_rd_max: Int64 | UnsetType = UNSET
    """the same for reads (since 1.7)"""
    bps_wr_max: Int64 | UnsetType = UNSET
    """the same for writes (since 1.7)"""
    iops_max: Int64 | UnsetType = UNSET
    """requests per second in a burst (since 1.7)"""
    iops_rd_max: Int64 | UnsetType = UNSET
    """the same for reads (since 1.7)"""
    iops_wr_max: Int64 | UnsetType = UNSET
    """the same for writes (since 1.7)"""
    bps_max_length: Int64 | UnsetType = UNSET
    """seconds that a burst may last (since 2.6)"""
    bps_rd_max_length: Int64 | UnsetType = UNSET
    """the same for reads (since 2.6)"""
    bps_wr_max_length: Int64 | UnsetType = UNSET
    """the same for writes (since 2.6)"""
    iops_max_length: Int64 | UnsetType = UNSET
    """the same for requests (since 2.6)"""
    iops_rd_max_length: Int64 | UnsetType = UNSET
    """the same for reads (since 2.6)"""
    iops_wr_max_length: Int64 | UnsetType = UNSET
    """the same for writes (since 2.6)"""
    iops_size: Int64 | UnsetType = UNSET
    """bytes that count as one request (since 1.7)"""
    group: str | UnsetType = UNSET
    """the group that the limits belong to (since 2.4)"""
    cache: BlockdevCacheInfo
    """caches on the way to it (since 2.3)"""
    write_threshold: Int64
    """offset behind which a write is told by an event, 0 for none (since 2.3)"""
    dirty_bitmaps: list[BlockDirtyInfo] | UnsetType = field(default=UNSET, name="dirty-bitmaps")
    """dirty bitmaps of the node (since 4.2)"""


class BlockInfo(Output, kw_only=True):
    """A drive, or a disk of the guest."""

    device: str
    """the drive's id, empty for a disk that was given a node"""
    qdev: str | UnsetType = UNSET
    """the guest's device: its id or, where it has none, its place in the object tree (since 2.10)"""
    type: str
    """always "unknown" """
    removable: bool
    """the guest's device can be given another medium"""
    locked: bool
    """the guest has locked the medium in"""
    inserted: BlockDeviceInfo | UnsetType = UNSET
    """the medium, where there is one"""
    tray_open: bool | UnsetType = UNSET
    """whether the tray is open, where the device has one"""
    io_status: BlockDeviceIoStatus | UnsetType = field(default=UNSET, name="io-status")
    """whether the disk stands still for an error, where the machine may stop for one"""


class BlockDeviceTimedStats(Output, kw_only=True):
    """Latencies of the recent past, in nanoseconds; 0 where there was nothing."""

    interval_length: Int64
    """for how long they are kept, in seconds; at least half of that is looked back on"""
    min_rd_latency_ns: Int64
    """the shortest of a read"""
    max_rd_latency_ns: Int64
    """the longest of a read"""
    avg_rd_latency_ns: Int64
    """the average of reads"""
    min_wr_latency_ns: Int64
    """the shortest of a write"""
    max_wr_latency_ns: Int64
    """the longest of a write"""
    avg_wr_latency_ns: Int64
    """the average of writes"""
    min_flush_latency_ns: Int64
    """the shortest of a flush"""
    max_flush_latency_ns: Int64
    """the longest of a flush"""
    avg_flush_latency_ns: Int64
    """the average of flushes"""
    avg_rd_queue_depth: float
    """how many reads were under way on average"""
    avg_wr_queue_depth: float
    """how many writes were under way on average"""


class BlockLatencyHistogramInfo(Output, kw_only=True):
    """How many requests took how long."""

    boundaries: list[UInt64]
    """times in nanoseconds, rising"""
    bins: list[UInt64]
    """how many took less than the first boundary, at least that and less than the second, and so on; the
    last: at least the last boundary
    """


class BlockDeviceStats(Output, kw_only=True):
    """Requests that a guest's device has made. Times are from when the device asked to when it was answered.
    """

    rd_bytes: Int64
    """bytes read"""
    wr_bytes: Int64
    """bytes written"""
    unmap_bytes: Int64
    """bytes discarded (since 4.2)"""
    rd_operations: Int64
    """reads"""
    wr_operations: Int64
    """writes"""
    flush_operations: Int64
    """flushes (since 0.15)"""
    unmap_operations: Int64
    """discards (since 4.2)"""
    rd_total_time_ns: Int64
    """time of all reads together (since 0.15)"""
    wr_total_time_ns: Int64
    """time of all writes together (since 0.15)"""
    flush_total_time_ns: Int64
    """time of all flushes together (since 0.15)"""
    unmap_total_time_ns: Int64
    """time of all discards together (since 4.2)"""
    wr_highest_offset: Int64
    """where the write that reached farthest back ended, whoever made it"""
    rd_merged: Int64
    """reads that were done as part of another (since 2.3)"""
    wr_merged: Int64
    """writes that were (since 2.3)"""
    unmap_merged: Int64
    """discards that were (since 4.2)"""
    idle_time_ns: Int64 | UnsetType = UNSET
    """since the last request; absent before the first (since 2.5)"""
    failed_rd_operations: Int64
    """reads that failed (since 2.5)"""
    failed_wr_operations: Int64
    """writes that did (since 2.5)"""
    failed_flush_operations: Int64
    """flushes that did (since 2.5)"""
    failed_unmap_operations: Int64
    """discards that did (since 4.2)"""
    invalid_rd_operations: Int64
    """reads that the disk could not do, as they went beyond its end (since 2.5)"""
    invalid_wr_operations: Int64
    """such writes (since 2.5)"""
    invalid_flush_operations: Int64
    """such flushes (since 2.5)"""
    invalid_unmap_operations: Int64
    """such discards (since 4.2)"""
    account_invalid: bool
    """an invalid request ends idle time (since 2.5)"""
    account_failed: bool
    """a failed request ends idle time, and its time counts (since 2.5)"""
    timed_stats: list[BlockDeviceTimedStats]
    """latencies of the recent past (since 2.5)"""
    rd_latency_histogram: BlockLatencyHistogramInfo | UnsetType = UNSET
    """of reads, where one is drawn (since 4.0)"""
    wr_latency_histogram: BlockLatencyHistogramInfo | UnsetType = UNSET
    """of writes, where one is drawn (since 4.0)"""
    flush_latency_histogram: BlockLatencyHistogramInfo | UnsetType = UNSET
    """of flushes, where one is drawn (since 4.0)"""


class BlockStatsSpecificFile(Output, kw_only=True):
    """What a file knows of discards."""

    discard_nb_ok: UInt64 = field(name="discard-nb-ok")
    """how many there were that the host did"""
    discard_nb_failed: UInt64 = field(name="discard-nb-failed")
    """how many it did not do"""
    discard_bytes_ok: UInt64 = field(name="discard-bytes-ok")
    """bytes of those that it did"""


class BlkdebugBlockStatsSpecific(Output, kw_only=True, tag_field="driver", tag="blkdebug"):
    """What only nodes of one driver count."""
    driver: ClassVar[BlockdevDriver] = BlockdevDriver.BLKDEBUG


class CopyOnReadBlockStatsSpecific(Output, kw_only=True, tag_field="driver", tag="copy-on-read"):
    """What only nodes of one driver count."""
    driver: ClassVar[BlockdevDriver] = BlockdevDriver.COPY_ON_READ


class FileBlockStatsSpecific(BlockStatsSpecificFile, kw_only=True, tag_field="driver", tag="file"):
    """What only nodes of one driver count."""
    driver: ClassVar[BlockdevDriver] = BlockdevDriver.FILE


class HostCdromBlockStatsSpecific(Output, kw_only=True, tag_field="driver", tag="host_cdrom"):
    """What only nodes of one driver count."""
    driver: ClassVar[BlockdevDriver] = BlockdevDriver.HOST_CDROM


class HostDeviceBlockStatsSpecific(BlockStatsSpecificFile, kw_only=True, tag_field="driver", tag="host_device"):
    """What only nodes of one driver count."""
    driver: ClassVar[BlockdevDriver] = BlockdevDriver.HOST_DEVICE


class LuksBlockStatsSpecific(Output, kw_only=True, tag_field="driver", tag="luks"):
    """What only nodes of one driver count."""
    driver: ClassVar[BlockdevDriver] = BlockdevDriver.LUKS


class NullAioBlockStatsSpecific(Output, kw_only=True, tag_field="driver", tag="null-aio"):
    """What only nodes of one driver count."""
    driver: ClassVar[BlockdevDriver] = BlockdevDriver.NULL_AIO


class NullCoBlockStatsSpecific(Output, kw_only=True, tag_field="driver", tag="null-co"):
    """What only nodes of one driver count."""
    driver: ClassVar[BlockdevDriver] = BlockdevDriver.NULL_CO


class PreallocateBlockStatsSpecific(Output, kw_only=True, tag_field="driver", tag="preallocate"):
    """What only nodes of one driver count."""
    driver: ClassVar[BlockdevDriver] = BlockdevDriver.PREALLOCATE


class Qcow2BlockStatsSpecific(Output, kw_only=True, tag_field="driver", tag="qcow2"):
    """What only nodes of one driver count."""
    driver: ClassVar[BlockdevDriver] = BlockdevDriver.QCOW2


class RawBlockStatsSpecific(Output, kw_only=True, tag_field="driver", tag="raw"):
    """What only nodes of one driver count."""
    driver: ClassVar[BlockdevDriver] = BlockdevDriver.RAW


class ThrottleBlockStatsSpecific(Output, kw_only=True, tag_field="driver", tag="throttle"):
    """What only nodes of one driver count."""
    driver: ClassVar[BlockdevDriver] = BlockdevDriver.THROTTLE


class BlockStats(Output, kw_only=True):
    """Counters of a drive or a node, with those of the nodes below. Requests of a guest's device are counted
    at its drive; below that only `BlockDeviceStats`.wr_highest_offset is.
    """

    device: str | UnsetType = UNSET
    """the drive's id"""
    qdev: str | UnsetType = UNSET
    """the guest's device, as `BlockInfo` has it (since 3.0)"""
    node_name: str | UnsetType = field(default=UNSET, name="node-name")
    """the node (since 2.3)"""
    stats: BlockDeviceStats
    """the counters"""
    driver_specific: BlockStatsSpecific | UnsetType = field(default=UNSET, name="driver-specific")
    """what only nodes of its driver count (since 4.2)"""
    parent: BlockStats | UnsetType = UNSET
    """the node that holds the bytes of this one"""
    backing: BlockStats | UnsetType = UNSET
    """the image below, or what a filter stands before (since 2.2)"""


class XDbgBlockGraphNode(Output, kw_only=True):
    """Somebody in the graph of disks."""

    id: UInt64
    """a number, unique in this answer"""
    type: XDbgBlockGraphNodeType
    """what it is"""
    name: str
    """its name: of a drive its id or, where it has none, its device; of a job its id"""


class XDbgBlockGraphEdge(Output, kw_only=True):
    """Who holds whom in the graph of disks."""

    parent: UInt64
    """number of the one who holds"""
    child: UInt64
    """number of the one that is held"""
    name: str
    """as what"""
    perm: list[BlockPermission]
    """what the parent does with it"""
    shared_perm: list[BlockPermission] = field(name="shared-perm")
    """what others may do meanwhile"""


class XDbgBlockGraph(Output, kw_only=True):
    """The graph of disks."""

    nodes: list[XDbgBlockGraphNode]
    """who stands in it"""
    edges: list[XDbgBlockGraphEdge]
    """who holds whom"""


class BlockdevSnapshotSync(Input, kw_only=True):
    """Of what, and into which file, a snapshot is made."""

    device: str | UnsetType = UNSET
    """the device"""
    node_name: str | UnsetType = field(default=UNSET, name="node-name")
    """the node, instead of a device (since 2.0)"""
    snapshot_file: str = field(name="snapshot-file")
    """name of the file"""
    snapshot_node_name: str | UnsetType = field(default=UNSET, name="snapshot-node-name")
    """name of the new node (since 2.0)"""
    format: str | UnsetType = UNSET
    """format of the new image, `qcow2` unless given"""
    mode: NewImageMode | UnsetType = UNSET
    """whether the file holds an image already, `absolute-paths` unless given"""


class BlockdevSnapshot(Input, kw_only=True):
    """Two nodes of which one comes to stand on the other."""

    node: str
    """device or node that is kept as it is"""
    overlay: str
    """node that takes its place; it has no backing file"""


class BlockdevSnapshotInternal(Input, kw_only=True):
    """A snapshot in an image."""

    device: str
    """device or node whose image it is in"""
    name: str
    """what it is called"""


class BlockDirtyBitmap(Input, kw_only=True):
    """A dirty bitmap, by name."""

    node: str
    """device or node that it is of"""
    name: str
    """its name"""


class BlockDirtyBitmapAdd(Input, kw_only=True):
    """A dirty bitmap that is to be."""

    node: str
    """device or node that it is of"""
    name: str
    """its name, which no other one of the node has"""
    granularity: UInt32 | UnsetType = UNSET
    """bytes of one bit, a power of two; by default the image's cluster size, but from 4 KiB to 64 KiB"""
    persistent: bool | UnsetType = UNSET
    """whether it is stored in the image, false unless given (since 2.10)"""
    disabled: bool | UnsetType = UNSET
    """whether it records nothing, false unless given (since 4.0)"""


class BlockDirtyBitmapMerge(Input, kw_only=True):
    """Bitmaps that are merged."""

    node: str
    """device or node that the target is of"""
    target: str
    """the bitmap that gets the marks of the others"""
    bitmaps: list[BlockDirtyBitmapMergeSource]
    """the others, for disks of the same size"""


class BlockDirtyBitmapSha256(Output, kw_only=True):
    """The sum of a bitmap."""

    sha256: str
    """hexadecimal digits"""


class Abort(Input, kw_only=True):
    """Nothing is to be said of a failure."""


class AbortWrapper(Input, kw_only=True):
    """What an action of that kind takes."""

    data: Abort
    """it"""


class BlockDirtyBitmapAddWrapper(Input, kw_only=True):
    """What an action of that kind takes."""

    data: BlockDirtyBitmapAdd
    """it"""


class BlockDirtyBitmapWrapper(Input, kw_only=True):
    """What an action of that kind takes."""

    data: BlockDirtyBitmap
    """it"""


class BlockDirtyBitmapMergeWrapper(Input, kw_only=True):
    """What an action of that kind takes."""

    data: BlockDirtyBitmapMerge
    """it"""


class BlockdevBackupWrapper(Input, kw_only=True):
    """What an action of that kind takes."""

    data: BlockdevBackup
    """it"""


class BlockdevSnapshotWrapper(Input, kw_only=True):
    """What an action of that kind takes."""

    data: BlockdevSnapshot
    """it"""


class BlockdevSnapshotInternalWrapper(Input, kw_only=True):
    """What an action of that kind takes."""

    data: BlockdevSnapshotInternal
    """it"""


class BlockdevSnapshotSyncWrapper(Input, kw_only=True):
    """What an action of that kind takes."""

    data: BlockdevSnapshotSync
    """it"""


class DriveBackupWrapper(Input, kw_only=True):
    """What an action of that kind takes."""

    data: DriveBackup
    """it"""


class AbortTransactionAction(AbortWrapper, kw_only=True, tag_field="type", tag="abort"):
    """One part of a transaction."""
    type: ClassVar[TransactionActionKind] = TransactionActionKind.ABORT


class BlockDirtyBitmapAddTransactionAction(BlockDirtyBitmapAddWrapper, kw_only=True, tag_field="type", tag="block-dirty-bitmap-add"):
    """One part of a transaction."""
    type: ClassVar[TransactionActionKind] = TransactionActionKind.BLOCK_DIRTY_BITMAP_ADD


class BlockDirtyBitmapRemoveTransactionAction(BlockDirtyBitmapWrapper, kw_only=True, tag_field="type", tag="block-dirty-bitmap-remove"):
    """One part of a transaction."""
    type: ClassVar[TransactionActionKind] = TransactionActionKind.BLOCK_DIRTY_BITMAP_REMOVE


class BlockDirtyBitmapClearTransactionAction(BlockDirtyBitmapWrapper, kw_only=True, tag_field="type", tag="block-dirty-bitmap-clear"):
    """One part of a transaction."""
    type: ClassVar[TransactionActionKind] = TransactionActionKind.BLOCK_DIRTY_BITMAP_CLEAR


class BlockDirtyBitmapEnableTransactionAction(BlockDirtyBitmapWrapper, kw_only=True, tag_field="type", tag="block-dirty-bitmap-enable"):
    """One part of a transaction."""
    type: ClassVar[TransactionActionKind] = TransactionActionKind.BLOCK_DIRTY_BITMAP_ENABLE


class BlockDirtyBitmapDisableTransactionAction(BlockDirtyBitmapWrapper, kw_only=True, tag_field="type", tag="block-dirty-bitmap-disable"):
    """One part of a transaction."""
    type: ClassVar[TransactionActionKind] = TransactionActionKind.BLOCK_DIRTY_BITMAP_DISABLE


class BlockDirtyBitmapMergeTransactionAction(BlockDirtyBitmapMergeWrapper, kw_only=True, tag_field="type", tag="block-dirty-bitmap-merge"):
    """One part of a transaction."""
    type: ClassVar[TransactionActionKind] = TransactionActionKind.BLOCK_DIRTY_BITMAP_MERGE


class BlockdevBackupTransactionAction(BlockdevBackupWrapper, kw_only=True, tag_field="type", tag="blockdev-backup"):
    """One part of a transaction."""
    type: ClassVar[TransactionActionKind] = TransactionActionKind.BLOCKDEV_BACKUP


class BlockdevSnapshotTransactionAction(BlockdevSnapshotWrapper, kw_only=True, tag_field="type", tag="blockdev-snapshot"):
    """One part of a transaction."""
    type: ClassVar[TransactionActionKind] = TransactionActionKind.BLOCKDEV_SNAPSHOT


class BlockdevSnapshotInternalSyncTransactionAction(BlockdevSnapshotInternalWrapper, kw_only=True, tag_field="type", tag="blockdev-snapshot-internal-sync"):
    """One part of a transaction."""
    type: ClassVar[TransactionActionKind] = TransactionActionKind.BLOCKDEV_SNAPSHOT_INTERNAL_SYNC


class BlockdevSnapshotSyncTransactionAction(BlockdevSnapshotSyncWrapper, kw_only=True, tag_field="type", tag="blockdev-snapshot-sync"):
    """One part of a transaction."""
    type: ClassVar[TransactionActionKind] = TransactionActionKind.BLOCKDEV_SNAPSHOT_SYNC


class DriveBackupTransactionAction(DriveBackupWrapper, kw_only=True, tag_field="type", tag="drive-backup"):
    """One part of a transaction."""
    type: ClassVar[TransactionActionKind] = TransactionActionKind.DRIVE_BACKUP


class TransactionProperties(Input, kw_only=True):
    """How a transaction is to be understood."""

    completion_mode: ActionCompletionMode | UnsetType = field(default=UNSET, name="completion-mode")
    """how its jobs end, `individual` unless given"""


SchemaInfo: TypeAlias = (
    BuiltinSchemaInfo
    | EnumSchemaInfo
    | ArraySchemaInfo
    | ObjectSchemaInfo
    | AlternateSchemaInfo
    | CommandSchemaInfo
    | EventSchemaInfo
)
"""One entity of the schema."""

CpuInfoFast: TypeAlias = (
    Aarch64CpuInfoFast
    | AlphaCpuInfoFast
    | ArmCpuInfoFast
    | AvrCpuInfoFast
    | CrisCpuInfoFast
    | HppaCpuInfoFast
    | I386CpuInfoFast
    | Loongarch64CpuInfoFast
    | M68kCpuInfoFast
    | MicroblazeCpuInfoFast
    | MicroblazeelCpuInfoFast
    | MipsCpuInfoFast
    | Mips64CpuInfoFast
    | Mips64elCpuInfoFast
    | MipselCpuInfoFast
    | Nios2CpuInfoFast
    | Or1kCpuInfoFast
    | PpcCpuInfoFast
    | Ppc64CpuInfoFast
    | Riscv32CpuInfoFast
    | Riscv64CpuInfoFast
    | RxCpuInfoFast
    | S390xCpuInfoFast
    | Sh4CpuInfoFast
    | Sh4ebCpuInfoFast
    | SparcCpuInfoFast
    | Sparc64CpuInfoFast
    | TricoreCpuInfoFast
    | X8664CpuInfoFast
    | XtensaCpuInfoFast
    | XtensaebCpuInfoFast
)
"""A vCPU, without what would have to be asked of the vCPU itself."""

ObjectOptions: TypeAlias = (
    FilterDumpObjectOptions
    | IothreadObjectOptions
    | MemoryBackendFileObjectOptions
    | MemoryBackendMemfdObjectOptions
    | MemoryBackendRamObjectOptions
    | RngBuiltinObjectOptions
    | RngRandomObjectOptions
    | SecretObjectOptions
    | ThrottleGroupObjectOptions
)
"""Describes a user-made object."""

NetdevAddress: TypeAlias = InetNetdevAddress | UnixNetdevAddress | FdNetdevAddress
"""Where a socket is."""

Netdev: TypeAlias = UserNetdev | TapNetdev | SocketNetdev | StreamNetdev | DgramNetdev | HubportNetdev
"""A network back end."""

KeyValue: TypeAlias = NumberKeyValue | QcodeKeyValue
"""A key. Numbers are those of the PC's first set of scan codes, with 0x80 added where the keyboard sends 0xe0
first.
"""

InputEvent: TypeAlias = KeyInputEvent | BtnInputEvent | RelInputEvent | AbsInputEvent
"""Something that a user did."""

ImageInfoSpecificQCow2Encryption: TypeAlias = (
    AesImageInfoSpecificQCow2Encryption
    | LuksImageInfoSpecificQCow2Encryption
)
"""How a qcow2 image is encrypted."""

ImageInfoSpecific: TypeAlias = Qcow2ImageInfoSpecific | LuksImageInfoSpecific
"""What only images of one format have."""

BlockStatsSpecific: TypeAlias = (
    BlkdebugBlockStatsSpecific
    | CopyOnReadBlockStatsSpecific
    | FileBlockStatsSpecific
    | HostCdromBlockStatsSpecific
    | HostDeviceBlockStatsSpecific
    | LuksBlockStatsSpecific
    | NullAioBlockStatsSpecific
    | NullCoBlockStatsSpecific
    | PreallocateBlockStatsSpecific
    | Qcow2BlockStatsSpecific
    | RawBlockStatsSpecific
    | ThrottleBlockStatsSpecific
)
"""What only nodes of one driver count."""

BlockDirtyBitmapMergeSource: TypeAlias = str | BlockDirtyBitmap
"""A bitmap that is merged into another one."""

TransactionAction: TypeAlias = (
    AbortTransactionAction
    | BlockDirtyBitmapAddTransactionAction
    | BlockDirtyBitmapRemoveTransactionAction
    | BlockDirtyBitmapClearTransactionAction
    | BlockDirtyBitmapEnableTransactionAction
    | BlockDirtyBitmapDisableTransactionAction
    | BlockDirtyBitmapMergeTransactionAction
    | BlockdevBackupTransactionAction
    | BlockdevSnapshotTransactionAction
    | BlockdevSnapshotInternalSyncTransactionAction
    | BlockdevSnapshotSyncTransactionAction
    | DriveBackupTransactionAction
)
"""One part of a transaction."""
