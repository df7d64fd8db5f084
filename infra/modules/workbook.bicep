@description('Where it lies.')
param location string

@description('Tags of the resource.')
param tags object

@description('A word that makes its name one of its own.')
param seed string

@description('The workspace that the app logs to.')
param workspaceId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, seed, 'emergency-calling')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Emergency calling'
    category: 'workbook'
    version: '1.0'
    sourceId: workspaceId
    serializedData: loadTextContent('../workbook.json')
  }
}
