from .hookspecs import KINDS as KINDS
from .hookspecs import hookimpl as hookimpl
from .manager import HERE as HERE
from .manager import create as create
from .manager import installed as installed
from .manager import register as register
from .plugin import Plugin as Plugin
