"""What one image holds: windows of data and validity from any raster, picture or array."""
