"""Examples at the foot of each command's help: short, real, to be copied."""

EXAMPLES = {
    "segment": (
        "mapgen segment scene.tif",
        "mapgen segment 'scenes/*.tif' -o masks/ --jobs 2 --report run.jsonl",
        "mapgen segment --from run.jsonl --only failed -o masks/",
        "mapgen segment naip.tif --bands 1,2,3 --resolution native --aoi town.geojson -o naip.mask.tif",
    ),
    "join": (
        "mapgen segment big.tif --shard 1/3  # and 2/3, 3/3 in other shells or on other machines",
        "mapgen join big.mask.shards",
    ),
    "vectorize": (
        "mapgen vectorize scene.mask.tif",
        "mapgen vectorize scene.mask.tif -o roads.gpkg --classes road --sieve 8px --simplify 1.5px",
        "mapgen segment *.tif -o masks/ | mapgen vectorize - -o layers/",
    ),
    "roads": (
        "mapgen roads scene.mask.tif",
        "mapgen roads scene.mask.tif -o scene.osm.pbf --bridge 60m",
    ),
    "route": ("mapgen route scene.roads.gpkg 55.27,25.20 55.29,25.21 --min-width 3 -o way.geojson",),
    "tiles": (
        "mapgen tiles scene.mask.tif --vector -o scene.pmtiles",
        "mapgen tiles scene.tif -o scene.mbtiles --zoom 12-18",
        "mapgen tiles scene.mask.tif -f folder -o site/tiles",
    ),
    "map": (
        "mapgen map scene.tif -o out",
        "mapgen map 'city/*.tif' -o city --name city --classes building,road -f fgb",
        "mapgen map scene.tif -o out --dry-run",
    ),
    "view": (
        "mapgen view out",
        "mapgen view scene.mask.tif --imagery scene.tif --png scene.png",
        "mapgen view 2019.mask.tif --compare 2024.mask.tif --inline change.html",
    ),
    "train": ("mapgen train town.toml --check", "mapgen train town.toml -o runs/town"),
    "compare": (
        "mapgen compare encoders.toml",
        "mapgen compare old.safetensors new.safetensors --scene town.tif --truth town.gpkg",
    ),
    "evaluate": (
        "mapgen evaluate scene.mask.tif truth.gpkg --attribute class",
        "mapgen evaluate scene.mask.tif truth.tif --boundary 2 --worst worst.png --fail-under miou=0.6",
        "mapgen evaluate scene.mask.tif --points points.gpkg --attribute truth",
    ),
    "sample": ("mapgen sample scene.mask.tif -n 400 --by class -o points.gpkg",),
    "explain": (
        "mapgen explain drycity-rgb-1m scene.tif --at 500000,2700000",
        "mapgen explain drycity-rgb-1m scene.tif --bbox 500000,2699900,500100,2700000 --class road -o why",
        "mapgen explain town.safetensors scene.tif --methods ig,bands",
    ),
    "areas": (
        "mapgen areas out",
        "mapgen areas scene.mask.tif --zones districts.gpkg --zone-name name -o areas.csv",
    ),
    "info": ("mapgen info scene.tif", "mapgen info out --json"),
    "verify": ("mapgen verify out", "mapgen verify masks/*.tif layers/*.gpkg --json"),
    "bench": ("mapgen bench", "mapgen bench scene.tif --precision fp32 --threads 2"),
    "models list": ("mapgen models list",),
    "models import": (
        "mapgen models import roads.onnx --check scene.tif",
        "mapgen models import roads.onnx --resolution 0.5 --classes other,road --name roads",
    ),
    "models export": ("mapgen models export drycity-rgb-1m --to onnx -o drycity.onnx --window 512",),
    "models upgrade": ("mapgen models upgrade town.safetensors",),
    "models show": ("mapgen models show drycity-rgb-1m",),
    "compress": ("mapgen compress town.safetensors --calibrate scenes/a.tif --windows 64",),
    "clean": ("mapgen clean masks --dry-run",),
    "demo": ("mapgen demo", "mapgen demo -o town"),
    "doctor": ("mapgen doctor",),
}
"""By command, as it is typed."""


def foot(command: str) -> str:
    """The foot of a command's help; the sign in front keeps its lines as they are."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in EXAMPLES[command])])
