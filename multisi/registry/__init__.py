"""Plugins by kind and name: hook specifications, built-ins, and the registry that finds them."""

from multisi.registry.hookspecs import KINDS as KINDS
from multisi.registry.hookspecs import hookimpl as hookimpl
from multisi.registry.manager import HERE as HERE
from multisi.registry.manager import create as create
from multisi.registry.manager import installed as installed
from multisi.registry.manager import register as register
from multisi.registry.plugin import Plugin as Plugin
