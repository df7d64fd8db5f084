@description('The name of the identity.')
param name string

@description('Where it lies.')
param location string

@description('Tags of the resource.')
param tags object

// Assigned by the user and not by the system: its roles exist before the app does, so that the first deployment finds
// its storage open to it.
resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

output clientId string = identity.properties.clientId
output principalId string = identity.properties.principalId
output id string = identity.id
