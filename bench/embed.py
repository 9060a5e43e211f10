#!/usr/bin/env python3
"""Writes a file's bytes as a C array, so that a program can carry it: embed.py FILE HEADER NAME"""
import sys

source, header, name = sys.argv[1:]
with open(source, 'rb') as file:
    data = file.read()
lines = [', '.join(map(str, data[i:i + 24])) for i in range(0, len(data), 24)]
with open(header, 'w', encoding='ascii') as file:
    file.write(f'static const unsigned char {name}[] = {{\n' + ',\n'.join(lines) + '};\n')
