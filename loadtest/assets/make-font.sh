#!/bin/sh
# Makes BIZUDMincho-Sekisho.ttf from the full font. Usage: make-font.sh BIZUDMincho-Regular.ttf
# Needs fonttools (PyPI). Source used: npm @expo-google-fonts/biz-udmincho 0.4.0, 400Regular/BIZUDMincho_400Regular.ttf.
set -eu
cd "$(dirname "$0")"
pyftsubset "$1" --text-file=characters.txt --output-file=BIZUDMincho-Sekisho.ttf \
  --no-hinting --desubroutinize --layout-features='' --notdef-outline --glyph-names \
  --name-IDs=0,1,2,3,4,5,6,13,14 --drop-tables+=GSUB,GPOS,vhea,vmtx,gasp,DSIG,STAT
